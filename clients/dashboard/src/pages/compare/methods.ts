/** Studies that search in the same way are one method with several seeds. */

import type { Curves, Study, Target } from "../../api/types";
import { value } from "../../format/words";
import { placeOf } from "../../state/curves";
import type { Detail } from "../../state/reducer";
import { mean } from "./statistics";

export interface Method {
  key: string;
  name: string;
  runs: readonly Detail[];
}

/**
 * Methods in the order of their first study. Equal optimizers with equal parameters are one, unless
 * `names` has the method of every study.
 */
export function methodsOf(details: readonly Detail[], names: ReadonlyMap<string, string> = new Map()): Method[] {
  const named = details.length > 0 && details.every(({ study }) => names.has(study.id));
  const byKey = new Map<string, Detail[]>();
  for (const detail of details) {
    const key = named ? (names.get(detail.study.id) ?? "") : keyOf(detail.study);
    byKey.set(key, [...(byKey.get(key) ?? []), detail]);
  }
  const found = [...byKey].map(([key, runs]) => ({ key, runs, name: key }));
  return named ? found : found.map((method) => ({ ...method, name: nameOf(method, found) }));
}

function keyOf({ optimizer, optimizer_settled, oracle, generator, spec }: Study): string {
  const settled = optimizer_settled.name || optimizer;
  return JSON.stringify([settled, optimizer_settled.parameters, oracle, generator, spec["transforms"] ?? null]);
}

/** Members of a comparison are called `METHOD-SEED-DIGEST`. */
const MEMBER = /^(.+)-\d+-[0-9a-f]{8}$/;

/** The method in the name of a member of a comparison; null for another group. */
export function methodIn(member: string): string | null {
  return MEMBER.exec(member)?.[1] ?? null;
}

/**
 * Studies that a comparison has beside its methods: natural images and random latents, and fresh
 * measurements of what was found.
 */
export const BESIDE: readonly string[] = ["start", "again"];

/** Of each title, the target of a study with natural images. */
export type Naturals = ReadonlyMap<string, { study: Study; target: Target }>;

export function naturalsOf(details: readonly Detail[]): Naturals {
  const found = new Map<string, { study: Study; target: Target }>();
  for (const { study } of details) {
    for (const target of study.targets) if (target.natural) found.set(target.title, { study, target });
  }
  return found;
}

/** What a row of a study costs: 1 for a forward pass, and 1 more for a backward pass. */
export function costOf({ accounting, search_rows }: Study): number {
  return 1 + (accounting["backward_rows"] ?? 0) / Math.max(1, search_rows);
}

/** The optimizer, and what tells it from others: its study, where one, or what differs. */
function nameOf(method: Method, all: readonly Method[]): string {
  const study = method.runs[0]?.study as Study;
  const optimizer = study.optimizer_settled.name || study.optimizer;
  const twins = all.filter(({ runs }) => {
    const other = runs[0]?.study as Study;
    return (other.optimizer_settled.name || other.optimizer) === optimizer;
  });
  if (twins.length === 1) return optimizer;
  if (method.runs.length === 1) return study.id;
  const different = Object.entries(study.optimizer_settled.parameters)
    .filter(([key, content]) =>
      twins.some(({ runs }) => JSON.stringify(runs[0]?.study.optimizer_settled.parameters[key]) !== JSON.stringify(content)),
    )
    .map(([key, content]) => `${key} ${value(content)}`);
  const places = [study.generator, study.oracle].filter((_, place) => differs(twins, place));
  return [optimizer, ...different.slice(0, 2), ...places].join(", ");
}

function differs(methods: readonly Method[], place: number): boolean {
  const names = methods.map(({ runs }) => [runs[0]?.study.generator, runs[0]?.study.oracle][place]);
  return new Set(names).size > 1;
}

/** Titles that every study has, in the order of the first. */
export function commonTitles(details: readonly Detail[]): string[] {
  const [first, ...others] = details.map(({ study }) => study.targets.map((target) => target.title));
  const sets = others.map((titles) => new Set(titles));
  return [...new Set(first ?? [])].filter((title) => sets.every((set) => set.has(title)));
}

export function targetOf(study: Study, title: string): Target | undefined {
  return study.targets.find((target) => target.title === title);
}

/** How scores are read: relative to the natural maximum or not, at the end or after some queries. */
export interface Reading {
  relative: boolean;
  /** Query-equivalents for each target; null for the end of each study. */
  queries: number | null;
  naturals: Naturals;
}

/**
 * Best scores: a row for each run that has all of them, a column for each title. Null without such
 * a run.
 */
export function scores(method: Method, titles: readonly string[], reading: Reading): number[][] | null {
  const table = method.runs
    .map((run) => titles.map((title) => readScore(run, title, reading)))
    .filter((row): row is number[] => !row.includes(null));
  return table.length ? table : null;
}

function readScore(run: Detail, title: string, { relative, queries, naturals }: Reading): number | null {
  const target = targetOf(run.study, title);
  const best = queries === null ? (target?.best_score ?? null) : scoreAfter(run, title, queries);
  if (!relative || best === null) return best;
  const maximum = (target?.natural ?? naturals.get(title)?.target.natural)?.maximum ?? null;
  return maximum !== null && maximum > 0 ? best / maximum : null;
}

/** The best score of a target when the study had spent so many queries on each target. */
function scoreAfter({ study, curves }: Detail, title: string, queries: number): number | null {
  const index = curves?.titles.indexOf(title) ?? -1;
  if (!curves || index < 0) return null;
  const rows = (queries * Math.max(1, study.target_count)) / costOf(study);
  return curves.best_so_far[index]?.[placeOf(curves.rows, rows + 1e-6)] ?? null;
}

/** The query-equivalents for each target that every study has spent; null if they all spent as many. */
export function commonQueries(details: readonly Detail[]): number | null {
  const spent = details.map(lastQueries);
  const least = Math.min(...spent);
  return least > 0 && Math.max(...spent) > least * 1.001 ? Math.floor(least) : null;
}

/** The run whose best for a title is highest. */
export function bestRun(method: Method, title: string): { study: Study; target: Target } | null {
  let found: { study: Study; target: Target } | null = null;
  for (const { study } of method.runs) {
    const target = targetOf(study, title);
    if (!target || target.best_score === null) continue;
    if (!found || target.best_score > (found.target.best_score ?? Number.NEGATIVE_INFINITY)) found = { study, target };
  }
  return found;
}

/** Query-equivalents for each target at which all curves of the methods have a point. */
export function grid(methods: readonly Method[], most = 300): number[] {
  const last = Math.max(0, ...methods.flatMap(({ runs }) => runs.map(lastQueries)));
  const first = Math.min(...methods.flatMap(({ runs }) => runs.map((run) => perTarget(run)[0] ?? last)));
  if (!Number.isFinite(first) || last <= first) return last ? [last] : [];
  return Array.from({ length: most }, (_, place) => first + ((last - first) * place) / (most - 1));
}

function lastQueries(run: Detail): number {
  return perTarget(run).at(-1) ?? 0;
}

function perTarget({ study, curves }: Detail): number[] {
  const each = costOf(study) / Math.max(1, study.target_count);
  return curves?.rows.map((rows) => rows * each) ?? [];
}

/** The mean over titles of the best score so far of a run, at each place of the grid. */
export function meanCurve(run: Detail, titles: readonly string[], at: readonly number[]): (number | null)[] {
  const { curves } = run;
  if (!curves) return at.map(() => null);
  const queries = perTarget(run);
  const rows = titles.map((title) => curves.titles.indexOf(title)).filter((index) => index >= 0);
  const means = queries.map((_, place) => meanAt(curves, rows, place));
  return at.map((query) => between(queries, means, query));
}

/** A value between the points of a curve; null beyond its ends. */
function between(x: readonly number[], y: readonly (number | null)[], at: number): number | null {
  const place = placeOf(x, at + 1e-9);
  const [x0, x1] = [x[place] ?? 0, x[place + 1] ?? 0];
  const [y0, y1] = [y[place] ?? null, y[place + 1] ?? null];
  if (place < 0 || y0 === null) return null;
  if (at <= x0 + 1e-9) return y0;
  return y1 === null || x1 <= x0 ? null : y0 + ((y1 - y0) * (at - x0)) / (x1 - x0);
}

function meanAt(curves: Curves, rows: readonly number[], place: number): number | null {
  const values = rows.map((index) => curves.best_so_far[index]?.[place] ?? null);
  const known = values.filter((entry): entry is number => entry !== null);
  return known.length === rows.length && known.length ? mean(known) : null;
}

/** The mean of several curves, where all have a value. */
export function averaged(curves: readonly (readonly (number | null)[])[]): (number | null)[] {
  return (curves[0] ?? []).map((_, place) => {
    const values = curves.map((curve) => curve[place] ?? null);
    return values.includes(null) ? null : mean(values as number[]);
  });
}
