/** The curves of one study: what the gateway sent, and what has happened since. */

import type { Curves, GenerationData } from "../api/types";

/** Points that a curve keeps; then every second one of its older half is left out. */
export const MOST_POINTS = 800;

/** The curves after several closed generations, in their order; those already known are ignored. */
export function extended(curves: Curves, events: readonly GenerationData[]): Curves {
  const last = curves.generations.at(-1) ?? -1;
  const news = events.filter((event) => event.generation > last);
  if (!news.length) return curves;
  const joined: Curves = {
    ...curves,
    generations: [...curves.generations, ...news.map((event) => event.generation)],
    rows: [...curves.rows, ...news.map((event) => event.rows)],
    best_so_far: appended(curves.best_so_far, curves.targets, news, (event) => event.best_so_far, true),
    mean: appended(curves.mean, curves.targets, news, (event) => event.mean_scores, false),
  };
  return joined.generations.length > MOST_POINTS ? thinned(joined) : joined;
}

type Values = (number | null)[];

/** A target that took no part keeps its best score and has no mean. */
function appended(
  curves: Values[],
  targets: readonly number[],
  news: readonly GenerationData[],
  read: (event: GenerationData) => Values,
  carried: boolean,
): Values[] {
  const places = news.map((event) => new Map(event.targets.map((target, place) => [target, place])));
  return targets.map((target, index) => {
    const values = [...(curves[index] ?? [])];
    news.forEach((event, step) => {
      const place = places[step]?.get(target);
      const before = carried ? (values.at(-1) ?? null) : null;
      values.push(place === undefined ? before : (read(event)[place] ?? before));
    });
    return values;
  });
}

/** The curves without every second point of their older half. */
function thinned(curves: Curves): Curves {
  const half = Math.floor(curves.generations.length / 2);
  const kept = <T>(values: T[]) => values.filter((_, place) => place >= half || place % 2 === 0);
  return {
    ...curves,
    generations: kept(curves.generations),
    rows: kept(curves.rows),
    best_so_far: curves.best_so_far.map(kept),
    mean: curves.mean.map(kept),
  };
}

/** The place of the last point at or before a generation; -1 where there is none. */
export function placeOf(generations: readonly number[], generation: number): number {
  let low = 0;
  let high = generations.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((generations[middle] ?? 0) <= generation) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
