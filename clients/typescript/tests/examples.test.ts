import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { type Client } from "../src/index.js";
import { connected, ServerProcess, skip } from "./server_process.js";

const EXAMPLES = join(dirname(fileURLToPath(import.meta.url)), "..", "examples");

class Program {
  output = "";
  readonly #process: ChildProcess;

  constructor(name: string, ...words: string[]) {
    this.#process = spawn(process.execPath, [join(EXAMPLES, `${name}.js`), ...words]);
    this.#process.stdout!.on("data", (text) => (this.output += text));
    this.#process.stderr!.on("data", (text) => (this.output += text));
  }

  /** Waits until it has printed `text`. */
  async printed(text: string): Promise<void> {
    while (!this.output.includes(text)) await once(this.#process.stdout!, "data");
  }

  interrupt(): void {
    this.#process.kill("SIGINT");
  }

  async ended(): Promise<number> {
    const [code] =
      this.#process.exitCode === null
        ? await once(this.#process, "close")
        : [this.#process.exitCode];
    return code as number;
  }
}

describe("Ctrl-C", { skip }, () => {
  let server: ServerProcess;
  let client: Client;

  before(async () => {
    server = await ServerProcess.started();
    client = await connected(server.address);
  });

  test("ends ask_tell, which then continues", async () => {
    const program = new Program("ask_tell", server.address, "searched", "20000");
    const study = client.handle("searched");
    for (let rows = 0; rows === 0;) {
      rows = await study.progress().then(
        ({ accounting }) => accounting.searchRows,
        () => 0,
      );
    }
    program.interrupt();
    assert.equal(await program.ended(), 130, program.output);
    assert.match(program.output, /stopped; start it again to continue/);
    const { state, accounting } = await study.progress();
    assert.equal(state, "running");
    assert.ok(accounting.searchRows < 20_000);
  });

  test("a whole search, and its events", async () => {
    const search = new Program("ask_tell", server.address, "short", "200");
    assert.equal(await search.ended(), 0, search.output);
    assert.match(search.output, /measured 200 candidates\nneuron:0: 0\.\d+ in generation/);
    const watch = new Program("watch", server.address, "short");
    assert.equal(await watch.ended(), 0, watch.output);
    assert.match(watch.output, /best so far [^]*succeeded/);
  });

  test("ends watch, which says where to continue", async () => {
    const watch = new Program("watch", server.address, "searched");
    await watch.printed("generation");
    watch.interrupt();
    assert.equal(await watch.ended(), 130, watch.output);
    assert.match(watch.output, /stopped; continue after event \d+/);
  });

  test("ends the oracle", async () => {
    const oracle = new Program("oracle", "127.0.0.1:0");
    await oracle.printed("serving at 127.0.0.1:");
    oracle.interrupt();
    assert.equal(await oracle.ended(), 0, oracle.output);
    assert.match(oracle.output, /stopped/);
  });

  test("an example without a server says so", async () => {
    const program = new Program("ask_tell", "127.0.0.1:1");
    assert.equal(await program.ended(), 1);
    assert.match(program.output, /ask_tell: cannot reach 127\.0\.0\.1:1/);
  });
});
