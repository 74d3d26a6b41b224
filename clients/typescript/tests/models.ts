/** Models and specifications that tests share. */

import type { StudySpec, Tensor } from "../src/index.js";

/** The negative square of the distance from 0, for each row. */
export function sphere(latents: Tensor): Float64Array {
  const scores = new Float64Array(latents.rows);
  for (let i = 0; i < latents.rows; i += 1) {
    for (const x of latents.row(i)) scores[i]! -= Number(x) ** 2;
  }
  return scores;
}

/** A study that clients measure. */
export const spec = (queriesPerTarget: number, more: Partial<StudySpec> = {}): StudySpec => ({
  targets: ["neuron:0"],
  space: { kind: "normal", dimension: 4 },
  seed: 7,
  queriesPerTarget,
  ...more,
});
