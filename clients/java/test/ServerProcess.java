package io.blackboxam.test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A real server in a process of its own, which a test can kill and start again. */
final class ServerProcess implements AutoCloseable {
    static final String TINY = "[server]\nshipped = false\ndevice = \"cpu\"\n"
            + "[generators.tiny]\nkind = \"pixels\"\nshape = [3, 4, 4]\n";

    private final Path folder;
    private String address = "127.0.0.1:0";
    private Process process;

    ServerProcess(String config) throws Exception {
        folder = Files.createTempDirectory("blackbox-am-java");
        Files.writeString(folder.resolve("c.toml"), config);
        start();
    }

    static boolean isThere() {
        return System.getenv("BLACKBOX_AM_PYTHON") != null;
    }

    String address() {
        return address;
    }

    void start() throws IOException, InterruptedException {
        Path ready = folder.resolve("ready");
        Files.deleteIfExists(ready);
        List<String> command = new ArrayList<>(List.of(
                System.getenv("BLACKBOX_AM_PYTHON"), "-m", "blackbox_am.cli", "serve",
                "--address", address, "--store", folder.resolve("s.sqlite3").toString(),
                "--ready-file", ready.toString(), "--config", folder.resolve("c.toml").toString()));
        process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("log").toFile())
                .start();
        for (int i = 0; i < 1800; i++) {
            if (Files.exists(ready) && !Files.readString(ready).isBlank()) {
                address = Files.readString(ready).strip();
                return;
            }
            Thread.sleep(50);
        }
        throw new IOException("no server: " + Files.readString(folder.resolve("log")));
    }

    void kill() {
        process.destroyForcibly().onExit().join();
    }

    @Override
    public void close() {
        kill();
    }
}
