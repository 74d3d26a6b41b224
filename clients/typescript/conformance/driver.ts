/**
 * The conformance driver of this client: it carries out requests, one JSON object a line, and writes one
 * answer a line. `clients/conformance/PROTOCOL.md` describes them.
 */

import { API_VERSION, type Client, type Study, VERSION } from "../src/index.js";
import { verbs as asking } from "./asking.js";
import { verbs as catalog } from "./catalog.js";
import { type Served, verbs as serving } from "./serving.js";
import { verbs as studies } from "./studies.js";
import { Arguments, DriverError, errorJson, type Json } from "./values.js";
import { verbs as watching, type Watch } from "./watching.js";

/** What the driver keeps between requests. */
export class Driver {
  readonly watches = new Map<string, Watch>();
  served: Served | undefined;
  #client: Client | undefined;

  get client(): Client {
    if (!this.#client) throw new DriverError("connect first");
    return this.#client;
  }

  connected(client: Client): void {
    this.#client = client;
  }

  study(a: Arguments): Study {
    return this.client.handle(a.need("study_id"));
  }

  disconnect(): void {
    for (const watch of this.watches.values()) watch.stop();
    this.watches.clear();
    this.#client?.close();
    this.#client = undefined;
  }
}

async function hello(): Promise<Json> {
  return {
    language: "typescript",
    client_version: VERSION,
    api_version: API_VERSION,
    verbs: Object.keys(verbs).sort(),
  };
}

const verbs: Record<string, (driver: Driver, a: Arguments) => Promise<Json>> = {
  hello,
  ...catalog,
  ...studies,
  ...asking,
  ...watching,
  ...serving,
};

async function answer(driver: Driver, line: string): Promise<Json> {
  let id: unknown = null;
  try {
    const request = JSON.parse(line) as Json;
    id = request["id"];
    const a = new Arguments(request);
    const name = a.need<string>("do");
    const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
    if (!verb) throw new DriverError(`unknown verb "${name}"`);
    return { id, ok: await verb(driver, a) };
  } catch (error) {
    return { id, error: errorJson(error) };
  }
}

/** The lines of the standard input, which can be long. */
async function* lines(): AsyncGenerator<string> {
  let pieces: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      pieces.push(chunk.subarray(start, end));
      yield Buffer.concat(pieces).toString();
      pieces = [];
      start = end + 1;
    }
    pieces.push(chunk.subarray(start));
  }
}

const driver = new Driver();
for await (const line of lines()) {
  const text = JSON.stringify(await answer(driver, line));
  await new Promise((resolve) => process.stdout.write(`${text}\n`, resolve));
}
driver.disconnect();
await driver.served?.server.stop();
