/** A real server and a real gateway in processes of their own. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A Python that has blackbox_am; the tests that need it are skipped without one. */
export const PYTHON = process.env["BLACKBOX_AM_PYTHON"] ?? "";
export const TOKEN = "a-token-for-the-tests-of-the-page";

const MODELS = `
[server]
shipped = false
device = "cpu"

[oracles.slow]
kind = "simulated"
latency_seconds = 0.05

[oracles.votes]
kind = "simulated"
gradients = true

[generators.perturbation]
kind = "perturbation"
inputs = "zoo:probe_images"

[generators.pixels]
kind = "pixels"
shape = [3, 8, 8]
`;

export class Rig {
  readonly folder = mkdtempSync(join(tmpdir(), "dashboard-"));
  #server: ChildProcess | null = null;
  #gateway: ChildProcess | null = null;
  #address = "127.0.0.1:0";
  url = "";

  constructor() {
    writeFileSync(join(this.folder, "models.toml"), MODELS);
    writeFileSync(join(this.folder, "token"), TOKEN);
  }

  /** Starts the server; a second time at the same address, with the same store. */
  async serve(): Promise<void> {
    const ready = join(this.folder, "address");
    this.#server = run("serve", "--config", join(this.folder, "models.toml"), "--address", this.#address,
      "--store", join(this.folder, "studies.sqlite3"), "--ready-file", ready);
    this.#address = await content(ready, this.#server);
    rmSync(ready);
  }

  async show(): Promise<void> {
    const ready = join(this.folder, "url");
    this.#gateway = run("dashboard", "--server", this.#address, "--port", "0", "--allow-changes",
      "--changes-token-file", join(this.folder, "token"), "--ready-file", ready);
    this.url = `${(await content(ready, this.#gateway)).replace(/\/$/, "")}/`;
  }

  /** Runs a command against the server to its end. */
  async command(...words: string[]): Promise<void> {
    const process = run(...words, "--server", this.#address);
    const code = await new Promise((done) => process.on("exit", done));
    if (code !== 0) throw new Error(`${words[0]} ended with ${code}`);
  }

  /** kill -9. */
  async killServer(): Promise<void> {
    await ended(this.#server, "SIGKILL");
  }

  async close(): Promise<void> {
    await ended(this.#gateway, "SIGTERM");
    await ended(this.#server, "SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function run(...words: string[]): ChildProcess {
  return spawn(PYTHON, ["-m", "blackbox_am.cli", ...words], { stdio: "ignore" });
}

async function content(file: string, of: ChildProcess): Promise<string> {
  for (let turn = 0; turn < 1000; turn++) {
    if (of.exitCode !== null) throw new Error(`the process ended with ${of.exitCode}`);
    const text = existsSync(file) ? readFileSync(file, "utf-8").trim() : "";
    if (text) return text;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`${file} was not written in 100 s`);
}

async function ended(process: ChildProcess | null, signal: NodeJS.Signals): Promise<void> {
  if (!process || process.exitCode !== null || process.signalCode !== null) return;
  const end = new Promise((done) => process.once("exit", done));
  process.kill(signal);
  await end;
}
