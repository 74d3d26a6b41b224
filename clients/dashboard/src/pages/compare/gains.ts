/** The numbers of a method in the table of a comparison. */

import { type Interval, interval } from "./statistics";

export interface Row {
  mean: Interval | null;
  natural: Interval | null;
  gain: Interval | null;
  better: number;
  worse: number;
}

type Scores = readonly (readonly number[])[] | null;

/** The numbers of a method: its scores, those over natural maxima, and those less the reference. */
export function rowOf(table: Scores, relative: Scores, reference: Scores): Row {
  const against = reference && columnMeans(reference);
  const gains = table && against ? table.map((row) => row.map((entry, place) => entry - (against[place] ?? 0))) : null;
  const perTarget = gains ? columnMeans(gains) : [];
  return {
    mean: table && interval(table),
    natural: relative && interval(relative),
    gain: gains && interval(gains),
    better: perTarget.filter((gain) => gain > 0).length,
    worse: perTarget.filter((gain) => gain < 0).length,
  };
}

function columnMeans(table: readonly (readonly number[])[]): number[] {
  return (table[0] ?? []).map((_, place) => table.reduce((sum, row) => sum + (row[place] ?? 0), 0) / table.length);
}
