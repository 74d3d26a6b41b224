/** Means with bootstrap intervals over targets and seeds. */

export interface Interval {
  mean: number;
  low: number;
  high: number;
}

const RESAMPLES = 2000;

/** Random numbers in [0, 1) from a seed (mulberry32): the same table at each look. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * The mean of a table of runs (rows: seeds, columns: targets) and its 95 % interval: both seeds and
 * targets are drawn with replacement. Null without a value, and no width for a single one.
 */
export function interval(table: readonly (readonly number[])[], seed = 1): Interval | null {
  const runs = table.filter((row) => row.length);
  const targets = runs[0]?.length ?? 0;
  if (!runs.length || !targets) return null;
  const draw = random(seed);
  const means = Array.from({ length: RESAMPLES }, () => resampled(runs, targets, draw)).sort((a, b) => a - b);
  return { mean: mean(runs.flat()), low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

function resampled(runs: readonly (readonly number[])[], targets: number, draw: () => number): number {
  const chosen = Array.from({ length: targets }, () => Math.floor(draw() * targets));
  let sum = 0;
  for (let turn = 0; turn < runs.length; turn++) {
    const run = runs[Math.floor(draw() * runs.length)] ?? [];
    for (const target of chosen) sum += run[target] ?? 0;
  }
  return sum / (runs.length * targets);
}

/** A quantile of sorted values, interpolated. */
export function quantile(sorted: readonly number[], fraction: number): number {
  const place = fraction * (sorted.length - 1);
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  const high = sorted[Math.ceil(place)] ?? Number.NaN;
  return low + (high - low) * (place - Math.floor(place));
}
