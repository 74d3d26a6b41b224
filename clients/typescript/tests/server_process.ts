/** Real servers in processes of their own, which tests kill. */

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { connect, type Client, type ConnectOptions } from "../src/index.js";

export const TINY = `
[server]
shipped = false
device = "cpu"

[generators.tiny]
kind = "pixels"
shape = [3, 4, 4]
`;

const PYTHON = process.env["BLACKBOX_AM_PYTHON"];
const START_MS = 90_000;

/** The reason to leave out tests with a real server; false where there is one. */
export const skip = PYTHON ? false : "BLACKBOX_AM_PYTHON names no Python with blackbox_am";

const endings: (() => unknown)[] = [];
after(async () => {
  for (const end of endings.reverse()) await end();
});

/** Does something when all tests of the file are over. */
export const atEnd = (end: () => unknown): void => void endings.push(end);

/** A folder that is removed at the end. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "blackbox-am-"));
  atEnd(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

export class ServerProcess {
  address = "127.0.0.1:0";
  readonly #folder = folder();
  #process: ChildProcess | undefined;

  constructor(config = TINY) {
    writeFileSync(join(this.#folder, "c.toml"), config);
    atEnd(() => this.kill());
  }

  static async started(config = TINY): Promise<ServerProcess> {
    const server = new ServerProcess(config);
    await server.start();
    return server;
  }

  /** Starts the server, again at its address after a kill. */
  async start(): Promise<void> {
    const ready = join(this.#folder, "ready");
    rmSync(ready, { force: true });
    const options = ["--address", this.address, "--store", join(this.#folder, "s.sqlite3")];
    options.push("--ready-file", ready, "--config", join(this.#folder, "c.toml"));
    this.#process = spawn(PYTHON!, ["-m", "blackbox_am.cli", "serve", ...options], {
      stdio: "ignore",
    });
    const limit = performance.now() + START_MS;
    while (performance.now() < limit && this.#process.exitCode === null) {
      const text = existsSync(ready) ? readFileSync(ready, "utf8").trim() : "";
      if (text) {
        this.address = text;
        return;
      }
      await sleep(20);
    }
    throw new Error(`the server does not start (exit code ${this.#process.exitCode})`);
  }

  /** Ends the server with SIGKILL. */
  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const exited = once(running, "exit");
    running.kill("SIGKILL");
    await exited;
  }
}

/** A client that is closed at the end. */
export async function connected(address: string, options: ConnectOptions = {}): Promise<Client> {
  const client = await connect(address, options);
  atEnd(() => client.close());
  return client;
}

/** An authority, and the certificates that it signed for a server and a client of this machine. */
export function certificates(): (name: string, kind: "pem" | "key") => string {
  const place = folder();
  const program = [
    "import sys, pathlib",
    "from blackbox_am.testing.certificates import Certificates",
    "made = Certificates(pathlib.Path(sys.argv[1]))",
    "made.authority('authority'); made.signed('server', 'authority'); made.signed('client', 'authority')",
    "names = ('authority', 'server', 'client')",
    "print([str(made.file(n, k)) for n in names for k in ('pem', 'key')])",
  ].join("\n");
  const printed = execFileSync(PYTHON!, ["-c", program, place], { encoding: "utf8" });
  const files = JSON.parse(printed.trim().split("\n").at(-1)!.replaceAll("'", '"')) as string[];
  const names = ["authority", "server", "client"];
  return (name, kind) => files[2 * names.indexOf(name) + (kind === "pem" ? 0 : 1)]!;
}
