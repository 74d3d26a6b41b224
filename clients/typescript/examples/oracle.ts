/**
 * Serves a model that studies of a server search: three units, each of which prefers one colour. The
 * configuration of the server names it:
 *
 *     [oracles.colours]
 *     kind = "remote"
 *     target = "localhost:50061"
 *
 *     node dist/examples/oracle.js [ADDRESS]
 */

import { once } from "node:events";

import { type OracleUnit, serveOracle, type Stimuli } from "../src/index.js";
import { interrupted } from "./interrupt.js";

/** Unit j is the mean of channel j less the mean of the others. */
function observe(stimuli: Stimuli, units: readonly OracleUnit[]): Float32Array {
  const found = new Float32Array(stimuli.rows * units.length);
  for (let row = 0; row < stimuli.rows; row += 1) {
    const values = stimuli.row(row);
    const size = values.length / 3;
    units.forEach((unit, j) => {
      let sum = 0;
      values.forEach((value, at) => {
        sum += Math.floor(at / size) === unit.index ? value : -value / 2;
      });
      found[row * units.length + j] = sum / size;
    });
  }
  return found;
}

const signal = interrupted();
try {
  const server = await serveOracle(
    {
      name: "colours",
      kind: "example",
      stimulusShape: [3, 8, 8],
      layers: [{ name: "scores", units: 3, labels: ["red", "green", "blue"] }],
      fingerprint: "colours-1",
      observe,
    },
    { address: process.argv[2] ?? "localhost:50061" },
  );
  console.log(`serving at ${server.address}`);
  if (!signal.aborted) await once(signal, "abort");
  await server.stop();
  console.log("stopped");
} catch (error) {
  console.error(`oracle: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
