/**
 * Prints the events of a study until it ends, also over restarts of the server.
 *
 *     node dist/examples/watch.js [SERVER [STUDY [AFTER_SEQUENCE]]]
 */

import { connect, InvalidInput, type StudyEvent } from "../src/index.js";
import { run } from "./interrupt.js";

function inWords(event: StudyEvent): string {
  switch (event.kind) {
    case "generationClosed": {
      const best = event.bestSoFar.map((score) => score.toFixed(4)).join(" ");
      return `generation ${event.generation}: best so far ${best}`;
    }
    case "stateChanged":
      return `${event.state} ${event.message}`;
    case "rowsTold":
      return `generation ${event.generation}: ${event.rows} rows`;
    case "unknown":
      return "an event of a later server";
    default:
      return event.kind;
  }
}

let last = 0;

async function watch(signal: AbortSignal): Promise<void> {
  const [server = "localhost:50051", studyId = "ts-neuron", after = "0"] = process.argv.slice(2);
  last = Number(after);
  if (!Number.isSafeInteger(last)) {
    throw new InvalidInput(`expected the number of an event, got ${after}`);
  }
  const token = process.env["BLACKBOX_AM_TOKEN"];
  const client = await connect(server, { signal, ...(token && { token }) });
  try {
    const study = await client.study(studyId, { signal });
    for await (const event of study.watch({ afterSequence: last, signal })) {
      last = event.sequence;
      console.log(`${String(last).padStart(6)}  ${inWords(event)}`);
    }
  } finally {
    client.close();
  }
}

await run("watch", watch, () => `stopped; continue after event ${last}`);
