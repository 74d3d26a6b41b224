/**
 * What the client can carry: `node dist/bench/bench.js SERVER D SECONDS` prints one line of JSON. The
 * conformance protocol says what is measured.
 */

import { randomUUID } from "node:crypto";

import { type Client, connect, Tensor } from "../src/index.js";

const STIMULUS_SHAPE = [3, 1024, 1024];
const UNITS = ["scores:0", "scores:1"];

/** What `step` returns, a second; the first call is not counted. */
async function rate(step: () => Promise<number>, seconds: number): Promise<number> {
  await step();
  const started = performance.now();
  let [done, took] = [0, 0];
  while (took < seconds) {
    done += await step();
    took = (performance.now() - started) / 1000;
  }
  return done / took;
}

async function candidatesPerSecond(
  client: Client,
  dimension: number,
  seconds: number,
): Promise<number> {
  const spec = {
    targets: ["neuron:0"],
    space: { kind: "box", dimension, low: [-1], high: [1] },
    optimizer: "random",
    parameters: { population: 1000 },
    queriesPerTarget: 1_000_000_000,
  } as const;
  const study = await client.createStudy(spec, { studyId: `bench-${randomUUID()}` });
  const found = await rate(async () => {
    const candidates = await study.ask();
    const latents = candidates.latents.array;
    const scores = new Float64Array(candidates.ids.length);
    for (let i = 0; i < scores.length; i += 1) scores[i] = Number(latents[i * dimension]);
    await study.tell(candidates, scores);
    return scores.length;
  }, seconds);
  await study.cancel();
  return found;
}

async function megabytesPerSecond(client: Client, seconds: number): Promise<number> {
  const grey = new Float32Array(STIMULUS_SHAPE.reduce((product, length) => product * length)).fill(
    0.5,
  );
  const stimuli = Tensor.of(grey, [1, ...STIMULUS_SHAPE]);
  const bytes = await rate(async () => {
    await client.observe("bench", stimuli, UNITS);
    return stimuli.data.length;
  }, seconds);
  return bytes / 1e6;
}

const [server, dimension, seconds] = process.argv.slice(2);
if (server === undefined || !(Number(dimension) > 0) || !(Number(seconds) > 0)) {
  console.error("usage: bench SERVER D SECONDS");
  process.exit(2);
}
const client = await connect(server);
try {
  const found = {
    ask_tell_candidates_per_s: await candidatesPerSecond(
      client,
      Number(dimension),
      Number(seconds),
    ),
    observe_stream_mb_per_s: await megabytesPerSecond(client, Number(seconds)),
  };
  console.log(JSON.stringify(found));
} finally {
  client.close();
}
