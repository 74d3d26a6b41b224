import { expect, test } from "vitest";
import { readStudy } from "../../src/api/reading";
import type { JsonObject, Summary } from "../../src/api/types";
import { spreadOut } from "../../src/charts/labels";
import { averaged, commonQueries, commonTitles, grid, meanCurve, methodIn, methodsOf, naturalsOf, scores } from "../../src/pages/compare/methods";
import { interval, quantile } from "../../src/pages/compare/statistics";
import { rowOf } from "../../src/pages/compare/gains";
import { filtered } from "../../src/pages/filtering";
import { bestOf, layerOf } from "../../src/pages/units";
import { EMPTY, specOf } from "../../src/pages/spec";
import { visible } from "../../src/parts/view";
import type { Detail } from "../../src/state/reducer";
import { best, curves, type FixtureStudy, made, summary, whole } from "../fixture/study";

function detail(part: Partial<FixtureStudy> & { id: string }): Detail {
  const study = made(part);
  return {
    study: readStudy(whole(study) as JsonObject),
    curves: curves(study, []) as never,
    log: [],
    sequence: 1,
    meanwhile: null,
  };
}

const row = (part: Partial<FixtureStudy> & { id: string }) => summary(made(part)) as unknown as Summary;

test("filters join; the newest study is first", () => {
  const studies = [row({ id: "old", seed: 1 }), row({ id: "new", seed: 2 }), row({ id: "done", seed: 3, state: "succeeded" })];
  const none = { state: "", oracle: "", label: "", text: "" } as const;
  const ids = (filter: Parameters<typeof filtered>[1]) => filtered(studies, filter).map(({ id }) => id);
  expect(ids(none)).toEqual(["done", "new", "old"]);
  expect(ids({ ...none, state: "running" })).toEqual(["new", "old"]);
  expect(ids({ ...none, label: "seed=2" })).toEqual(["new"]);
  expect(ids({ ...none, text: "CIFAR seed=1" })).toEqual(["old"]);
  expect(ids({ ...none, oracle: "other" })).toEqual([]);
});

test("studies with equal optimizers are seeds of one method", () => {
  const found = methodsOf([detail({ id: "a", seed: 1 }), detail({ id: "b", optimizer: "random" }), detail({ id: "c", seed: 2 })]);
  expect(found.map(({ name, runs }) => [name, runs.length])).toEqual([
    ["sep_cma", 2],
    ["random", 1],
  ]);
});

test("members of a comparison are grouped by the methods in their names", () => {
  expect(methodIn("adam-slow-3-0a1b2c3d")).toBe("adam-slow");
  expect(methodIn("run-1")).toBeNull();
  const names = new Map([["a", "fast"], ["b", "slow"], ["c", "fast"]]);
  const details = [detail({ id: "a" }), detail({ id: "b" }), detail({ id: "c", optimizer: "random" })];
  expect(methodsOf(details, names).map(({ name, runs }) => [name, runs.length])).toEqual([
    ["fast", 2],
    ["slow", 1],
  ]);
});

test("only common targets are compared, in the order of the first study", () => {
  expect(commonTitles([detail({ id: "a", targets: 3 }), detail({ id: "b", targets: 2 })])).toEqual(["layer3:0", "layer3:1"]);
});

test("scores of methods, and scores over natural maxima", () => {
  const [method] = methodsOf([detail({ id: "a", targets: 2, generation: 4, seed: 3 })]);
  if (!method) throw new Error("no method");
  const study = made({ id: "a", seed: 3 });
  expect(scores(method, ["layer3:1"], { relative: false, queries: null, naturals: new Map() })).toEqual([[best(study, 1, 3)]]);
  expect(scores(method, ["layer3:0"], { relative: true, queries: null, naturals: new Map() })?.[0]?.[0]).toBeCloseTo(best(study, 0, 3) / 4);
  expect(scores(method, ["layer3:7"], { relative: false, queries: null, naturals: new Map() })).toBeNull();
});

test("studies of different lengths are compared after equal queries", () => {
  const [long, short] = [detail({ id: "a", generation: 10 }), detail({ id: "b", generation: 4, optimizer: "random" })];
  expect(commonQueries([long, short])).toBe(80);
  expect(commonQueries([short, short])).toBeNull();
  const [method] = methodsOf([long]);
  if (!method) throw new Error("no method");
  expect(scores(method, ["layer3:0"], { relative: false, queries: 80, naturals: new Map() })).toEqual([[best(made({ id: "a" }), 0, 3)]]);
  expect(scores(method, ["layer3:0"], { relative: false, queries: 5, naturals: new Map() })).toBeNull();
});

test("a row with a backward pass costs two query-equivalents", () => {
  const adam = detail({ id: "a", generation: 5, optimizer: "adam" });
  Object.assign(adam.study.accounting, { backward_rows: adam.study.search_rows });
  const other = detail({ id: "b", generation: 10 });
  expect(commonQueries([adam, other])).toBeNull();
  expect(grid(methodsOf([adam, other]), 2)).toEqual([20, 200]);
  const [method] = methodsOf([adam]);
  if (!method) throw new Error("no method");
  const reading = { relative: false, queries: 80, naturals: new Map() };
  expect(scores(method, ["layer3:0"], reading)).toEqual([[best(made({ id: "a" }), 0, 1)]]);
});

test("natural maxima of a study beside the methods count for all of them", () => {
  const [start, plain] = [detail({ id: "start" }), detail({ id: "a" })];
  plain.study = { ...plain.study, targets: plain.study.targets.map((target) => ({ ...target, natural: null })) };
  const naturals = naturalsOf([start, plain]);
  const [method] = methodsOf([plain]);
  if (!method) throw new Error("no method");
  const found = scores(method, ["layer3:0"], { relative: true, queries: null, naturals });
  expect(found?.[0]?.[0]).toBeCloseTo(best(made({ id: "a" }), 0, 29) / 4);
});

test("mean curves end where the study ends", () => {
  const long = detail({ id: "a", generation: 10 });
  const short = detail({ id: "b", generation: 5, optimizer: "random" });
  const at = grid(methodsOf([long, short]), 10);
  expect(at[0]).toBe(20);
  expect(at.at(-1)).toBe(200);
  const curve = meanCurve(short, ["layer3:0"], at);
  expect(curve.filter((value) => value !== null).length).toBe(5);
  const first = [0, 1].map((generation) => best(made({ id: "b" }), 0, generation)) as [number, number];
  expect(meanCurve(short, ["layer3:0"], [30])[0]).toBeCloseTo((first[0] + first[1]) / 2);
  expect(averaged([[1, 2, null], [3, 4, 5]])).toEqual([2, 3, null]);
});

test("an interval holds its mean, repeats itself, and narrows with more values", () => {
  const values = Array.from({ length: 40 }, (_, place) => Math.sin(place * 12.9) * 3 + 10);
  const many = interval([values]);
  const few = interval([values.slice(0, 5)]);
  if (!many || !few) throw new Error("no interval");
  expect(many.low).toBeLessThan(many.mean);
  expect(many.high).toBeGreaterThan(many.mean);
  expect(many.high - many.low).toBeLessThan(few.high - few.low);
  expect(interval([values])).toEqual(many);
  expect(interval([])).toBeNull();
  expect(interval([[2]])).toEqual({ mean: 2, low: 2, high: 2 });
  expect(quantile([0, 1, 2, 3], 0.5)).toBe(1.5);
});

test("gains are counted by target", () => {
  const found = rowOf([[2, 1, 3]], null, [[1, 1, 4]]);
  expect(found).toMatchObject({ better: 1, worse: 1, natural: null });
  expect(found.gain?.mean).toBeCloseTo(0);
});

test.each([
  ["layer3:77", "layer3"],
  ["layer2.1.conv1:5@center", "layer2.1.conv1"],
  ['"initial:3-8:conv":5', "initial:3-8:conv"],
  ["head:3 - head:4", null],
  ["mean(head:3, head:4)", null],
])("the layer of %s", (title, layer) => {
  expect(layerOf(title)).toBe(layer);
});

test("a gallery has the best of each unit, in the order of units", () => {
  const studies = [detail({ id: "a", targets: 12, seed: 1 }).study, detail({ id: "b", targets: 3, seed: 5 }).study];
  const found = bestOf(studies, "layer3");
  expect(found.map(({ unit }) => unit).slice(0, 3)).toEqual(["layer3:0", "layer3:1", "layer3:2"]);
  expect(found.at(-1)?.unit).toBe("layer3:11");
  expect(found.map(({ study }) => study.id).slice(0, 4)).toEqual(["b", "b", "b", "a"]);
  expect(bestOf(studies, "head")).toEqual([]);
});

test("what is empty is left out of a specification", () => {
  expect(specOf({ ...EMPTY, generator: "g", targets: "head:3\n\n head:4 ", queries: 50 })).toEqual({
    generator: { name: "g" },
    targets: ["head:3", "head:4"],
    budget: { queries_per_target: 50 },
  });
  const full = specOf({ ...EMPTY, oracle: "o", generator: "g", optimizer: " cma ", seed: "7", baseline: "shipped", labels: "who=ada, x" });
  expect(full).toMatchObject({
    oracle: "o",
    optimizer: { name: "cma" },
    seed: 7,
    baseline: { images: "shipped" },
    labels: { who: "ada", x: "" },
  });
});

test("labels keep their distance within the chart", () => {
  const places = [{ y: 10 }, { y: 12 }, { y: 95 }, { y: 99 }];
  spreadOut(places, 15, 0, 100);
  const ys = places.map(({ y }) => y);
  expect(Math.max(...ys)).toBeLessThanOrEqual(100);
  for (let place = 1; place < ys.length; place++) expect((ys[place] ?? 0) - (ys[place - 1] ?? 0)).toBeGreaterThanOrEqual(15);
});

test("a grid of a thousand tiles shows those in view", () => {
  const view = visible(-5000, 1000, 800, 128, 184, undefined);
  expect(view.columns).toBe(7);
  expect(view.first).toBe(25);
  expect(view.last).toBe(34);
});
