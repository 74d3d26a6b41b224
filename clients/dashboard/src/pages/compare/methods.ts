/** Studies that search in the same way are one method with several seeds. */

import type { Curves, Study, Target } from "../../api/types";
import { value } from "../../format/words";
import type { Detail } from "../../state/reducer";
import { mean } from "./statistics";

export interface Method {
  key: string;
  name: string;
  runs: readonly Detail[];
}

/** Methods in the order of their first study; equal optimizers with equal parameters are one. */
export function methodsOf(details: readonly Detail[]): Method[] {
  const byKey = new Map<string, Detail[]>();
  for (const detail of details) {
    const key = keyOf(detail.study);
    byKey.set(key, [...(byKey.get(key) ?? []), detail]);
  }
  const found = [...byKey].map(([key, runs]) => ({ key, runs, name: "" }));
  return found.map((method) => ({ ...method, name: nameOf(method, found) }));
}

function keyOf({ optimizer, optimizer_settled, oracle, generator, spec }: Study): string {
  const settled = optimizer_settled.name || optimizer;
  return JSON.stringify([settled, optimizer_settled.parameters, oracle, generator, spec["transforms"] ?? null]);
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

/**
 * Final best scores: a row for each run that has all of them, a column for each title. Null
 * without such a run.
 */
export function scores(method: Method, titles: readonly string[], relative: boolean): number[][] | null {
  const table = method.runs
    .map(({ study }) => titles.map((title) => finalScore(targetOf(study, title), relative)))
    .filter((row): row is number[] => !row.includes(null));
  return table.length ? table : null;
}

function finalScore(target: Target | undefined, relative: boolean): number | null {
  const best = target?.best_score ?? null;
  if (!relative || best === null) return best;
  const maximum = target?.natural?.maximum ?? null;
  return maximum !== null && maximum > 0 ? best / maximum : null;
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

/** Queries for each target at which all curves of the methods have a point. */
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
  return curves?.rows.map((rows) => rows / Math.max(1, study.target_count)) ?? [];
}

/** The mean over titles of the best score so far of a run, at each place of the grid. */
export function meanCurve(run: Detail, titles: readonly string[], at: readonly number[]): (number | null)[] {
  const { curves } = run;
  if (!curves) return at.map(() => null);
  const queries = perTarget(run);
  const rows = titles.map((title) => curves.titles.indexOf(title)).filter((index) => index >= 0);
  let place = -1;
  return at.map((query) => {
    while (place + 1 < queries.length && (queries[place + 1] ?? 0) <= query + 1e-9) place += 1;
    if (place < 0 || query > (queries.at(-1) ?? 0) + 1e-9) return null;
    return meanAt(curves, rows, place);
  });
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
