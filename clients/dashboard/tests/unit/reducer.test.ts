import { expect, test } from "vitest";
import { readStudy } from "../../src/api/reading";
import type { JsonObject, Summary } from "../../src/api/types";
import { type Action, EMPTY, reduce, type State } from "../../src/state/reducer";
import { actionsOf } from "../../src/state/store";
import { closed, curves, made, summary, whole } from "../fixture/study";

const study = made({ id: "a", targets: 3, generation: 5 });
const json = (value: unknown) => value as JsonObject;
const row = (id: string, part: object = {}) => ({ ...summary(made({ id })), ...part }) as unknown as Summary;

function after(...actions: Action[]): State {
  return actions.reduce(reduce, EMPTY);
}

function opened(): State {
  return after(
    { do: "loaded", study: readStudy(json(whole(study))) },
    { do: "curves", id: "a", curves: curves(study, []) as never },
  );
}

test("an older summary changes nothing, a newer one does", () => {
  const state = after(
    { do: "listed", studies: [row("a", { sequence: 7, state: "succeeded" })], anew: true },
    { do: "listed", studies: [row("a", { sequence: 6, state: "running" })], anew: false },
  );
  expect(state.studies["a"]?.state).toBe("succeeded");
  expect(state.listed).toBe(true);
});

test("a listing that begins anew forgets studies that are gone", () => {
  const state = after(
    { do: "listed", studies: [row("a"), row("b")], anew: true },
    { do: "listed", studies: [row("b")], anew: true },
  );
  expect(Object.keys(state.studies)).toEqual(["b"]);
});

test("generations move scores, curves and counters once", () => {
  const next = closed({ ...study, generation: 6 }) as never;
  const once = reduce(opened(), { do: "generations", id: "a", events: [next] });
  const detail = once.details["a"];
  expect(detail?.study.generation).toBe(6);
  expect(detail?.study.search_rows).toBe(6 * 3 * 20);
  expect(detail?.curves?.generations).toEqual([0, 1, 2, 3, 4, 5]);
  expect(detail?.study.targets[1]?.best_score).toBeCloseTo(detail?.curves?.best_so_far[1]?.[5] ?? 0);
  const twice = reduce(once, { do: "generations", id: "a", events: [next] });
  expect(twice.details["a"]).toBe(detail);
});

test("generations that close while curves are read are in the curves", () => {
  const news = [6, 7].map((generation) => closed({ ...study, generation }) as never);
  const first = after({ do: "loaded", study: readStudy(json(whole(study))) }, { do: "generations", id: "a", events: news });
  const read = reduce(first, { do: "curves", id: "a", curves: curves({ ...study, generation: 6 }, []) as never });
  expect(read.details["a"]?.curves?.generations).toEqual([0, 1, 2, 3, 4, 5, 6]);
  const third = closed({ ...study, generation: 8 }) as never;
  const again = [
    { do: "reading", id: "a" },
    { do: "generations", id: "a", events: [third] },
    { do: "curves", id: "a", curves: curves({ ...study, generation: 7 }, [2]) },
  ] as never as Action[];
  const more = again.reduce(reduce, read).details["a"];
  expect(more?.curves?.generations).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(more?.curves?.best_so_far).toHaveLength(1);
  expect(more?.meanwhile).toBeNull();
});

test("events of a study that is not open are ignored", () => {
  const next = closed(made({ id: "b" })) as never;
  expect(after({ do: "generations", id: "b", events: [next] })).toEqual(EMPTY);
});

test("a late state changes nothing, a new one is in the list as well", () => {
  const change = { study: "a", state: "paused", stop_reason: "", message: "by hand" } as const;
  const late = reduce(opened(), { do: "state", change: { ...change, sequence: 2 } });
  expect(late.details["a"]?.study.state).toBe("running");
  const paused = reduce(opened(), { do: "state", change: { ...change, sequence: 99 } });
  expect(paused.details["a"]?.study.message).toBe("by hand");
  expect(paused.studies["a"]?.state).toBe("paused");
});

test("a snapshot replaces the study and keeps its curves", () => {
  const state = reduce(opened(), { do: "study", study: json(whole({ ...study, generation: 9 })) });
  expect(state.details["a"]?.study.generation).toBe(9);
  expect(state.details["a"]?.curves?.generations.length).toBe(5);
  expect(state.details["a"]?.study.optimizer).toBe("sep_cma");
  expect(state.details["a"]?.study.optimizer_settled.parameters).toEqual({ population: 20, sigma: 0.5 });
});

test("the absence of the server has a beginning, and it does not move", () => {
  const gone = after(
    { do: "connected", connected: true, message: "", at: 10 },
    { do: "connected", connected: false, message: "refused", at: 20 },
    { do: "connected", connected: false, message: "no answer", at: 30 },
  );
  expect(gone.link).toMatchObject({ server: false, serverSince: 20, message: "no answer" });
  const back = reduce(gone, { do: "connected", connected: true, message: "", at: 40 });
  expect(back.link).toMatchObject({ server: true, serverSince: 40 });
});

test("the absence of the gateway has a beginning as well", () => {
  const gone = after({ do: "gateway", open: true, at: 1 }, { do: "gateway", open: false, at: 5 }, { do: "gateway", open: false, at: 9 });
  expect(gone.link).toMatchObject({ gateway: "lost", gatewaySince: 5 });
});

test("the log is sorted and has each event once", () => {
  const entry = (sequence: number) => ({ sequence, time: "", kind: "note", text: `event ${sequence}` });
  const state = reduce(reduce(opened(), { do: "log", id: "a", entries: [entry(1), entry(2)] }), {
    do: "log",
    id: "a",
    entries: [entry(3), entry(2)],
  });
  expect(state.details["a"]?.log.map(({ sequence }) => sequence)).toEqual([3, 2, 1]);
});

test("a deleted study is gone from the list and closed", () => {
  const state = reduce(opened(), { do: "deleted", ids: ["a"] });
  expect(state.details["a"]).toBeUndefined();
  expect(state.studies["a"]).toBeUndefined();
});

test("messages keep their order, and generations in a row are one action", () => {
  const generation = (sequence: number) => ({ kind: "generation", data: { ...closed(study), sequence } }) as never;
  const state = { kind: "state", data: { study: "a", sequence: 3 } } as never;
  const actions = actionsOf([generation(1), generation(2), state, generation(4)], 0);
  expect(actions.map((action) => action.do)).toEqual(["generations", "state", "generations"]);
  expect(actions[0]).toMatchObject({ events: [{ sequence: 1 }, { sequence: 2 }] });
});

test("a study that was made anew under its name begins anew", () => {
  const anew = { ...(whole({ ...study, generation: 1 }) as object), create_time: "2026-11-29T00:00:00.000Z" };
  const state = reduce(opened(), { do: "study", study: json(anew) });
  expect(state.details["a"]).toMatchObject({ curves: null, sequence: 2 });
  expect(state.studies["a"]?.generation).toBe(1);
});
