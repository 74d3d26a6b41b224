package io.blackboxam.examples;

/** Ends a program at Ctrl-C: interrupts its main thread, and waits until that has finished. */
final class Interruption {
    private static volatile int code;

    private Interruption() {}

    /** Call it on the main thread. */
    static void onCtrlC() {
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            if (code != 0) {
                return; // the main thread itself ends the program
            }
            main.interrupt();
            try {
                main.join(10_000);
            } catch (InterruptedException impatient) {
                Thread.currentThread().interrupt();
            }
        }));
    }

    static void exit(int status) {
        code = status;
        System.exit(status);
    }
}
