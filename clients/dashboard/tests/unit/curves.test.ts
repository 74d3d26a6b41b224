import { expect, test } from "vitest";
import type { Curves, GenerationData } from "../../src/api/types";
import { extended, MOST_POINTS, placeOf } from "../../src/state/curves";

const EMPTY: Curves = {
  targets: [0, 2],
  titles: ["a", "c"],
  generations: [],
  rows: [],
  best_so_far: [[], []],
  mean: [[], []],
  natural_maximum: [null, null],
};

function closed(generation: number, scores: Record<number, number | null>): GenerationData {
  const targets = Object.keys(scores).map(Number);
  const values = Object.values(scores);
  return {
    study: "s",
    sequence: generation + 2,
    generation,
    rows: 10 * (generation + 1),
    targets,
    best_scores: values,
    mean_scores: values.map((value) => (value === null ? null : value - 1)),
    best_so_far: values,
  };
}

test("generations are appended once, for the targets that have curves", () => {
  const once = extended(EMPTY, [closed(0, { 0: 1, 1: 5, 2: 3 }), closed(1, { 0: 2, 1: 6, 2: 4 })]);
  expect(once.rows).toEqual([10, 20]);
  expect(once.best_so_far).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(once.mean).toEqual([
    [0, 1],
    [2, 3],
  ]);
  expect(extended(once, [closed(1, { 0: 9, 2: 9 })])).toBe(once);
});

test("a target that took no part keeps its best and has no mean", () => {
  const found = extended(EMPTY, [closed(0, { 0: 1, 2: 3 }), closed(1, { 2: 4 })]);
  expect(found.best_so_far[0]).toEqual([1, 1]);
  expect(found.mean[0]).toEqual([0, null]);
});

test("failed generations keep the best", () => {
  const found = extended(EMPTY, [closed(0, { 0: 1, 2: 3 }), closed(1, { 0: null, 2: null })]);
  expect(found.best_so_far).toEqual([
    [1, 1],
    [3, 3],
  ]);
});

test("long curves are thinned; the first and the newest points stay", () => {
  let curves = EMPTY;
  for (let generation = 0; generation < 3 * MOST_POINTS; generation++) {
    curves = extended(curves, [closed(generation, { 0: generation, 2: 0 })]);
  }
  expect(curves.generations.length).toBeLessThanOrEqual(MOST_POINTS);
  expect(curves.generations[0]).toBe(0);
  expect(curves.generations.slice(-3)).toEqual([3 * MOST_POINTS - 3, 3 * MOST_POINTS - 2, 3 * MOST_POINTS - 1]);
  expect(curves.best_so_far[0]).toEqual(curves.generations);
  expect(curves.generations).toEqual([...curves.generations].sort((one, other) => one - other));
});

test("the place of a generation is that of the last point before", () => {
  expect(placeOf([0, 2, 5, 9], 5)).toBe(2);
  expect(placeOf([0, 2, 5, 9], 4)).toBe(1);
  expect(placeOf([0, 2, 5, 9], 100)).toBe(3);
  expect(placeOf([3], 1)).toBe(-1);
});
