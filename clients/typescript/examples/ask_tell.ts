/**
 * Searches the receptive field of a simulated neuron: the server proposes points, and this program
 * measures them.
 *
 *     node dist/examples/ask_tell.js [SERVER [STUDY [QUERIES]]]
 *
 * Ctrl-C ends it; started again it continues the study. The environment variable BLACKBOX_AM_TOKEN holds
 * the token of a server that wants one.
 */

import { connect, type Tensor } from "../src/index.js";
import { run } from "./interrupt.js";

const DIMENSION = 16;

/** The response of a neuron that prefers one point, for each row. */
function measure(latents: Tensor): Float64Array {
  const scores = new Float64Array(latents.rows);
  for (let i = 0; i < latents.rows; i += 1) {
    let distance = 0;
    latents.row(i).forEach((x, j) => {
      distance += (Number(x) - Math.sin(j)) ** 2;
    });
    scores[i] = Math.exp(-distance / DIMENSION);
  }
  return scores;
}

async function search(signal: AbortSignal): Promise<void> {
  const [server = "localhost:50051", studyId = "ts-neuron", queries = "2000"] =
    process.argv.slice(2);
  const token = process.env["BLACKBOX_AM_TOKEN"];
  const client = await connect(server, { clientId: "ts-example", signal, ...(token && { token }) });
  try {
    const spec = {
      targets: ["neuron:0"],
      space: { kind: "normal", dimension: DIMENSION },
      queriesPerTarget: Number(queries),
    } as const;
    const study = await client.createStudy(spec, { studyId, signal });
    const { measured } = await study.askTell(measure, { signal });
    console.log(`measured ${measured} candidates`);
    for (const best of await study.best({ signal })) {
      console.log(`${best.title}: ${best.score.toFixed(4)} in generation ${best.generation}`);
    }
  } finally {
    client.close();
  }
}

await run("ask_tell", search, () => "stopped; start it again to continue");
