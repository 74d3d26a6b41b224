/** Which studies a filter leaves, the newest first. */

import type { StudyState, Summary } from "../api/types";

export interface Filter {
  state: StudyState | "";
  oracle: string;
  /** `key=value`; empty for all. */
  label: string;
  /** Words that all occur in the names of a study. */
  text: string;
}

export function filtered(studies: readonly Summary[], filter: Filter): Summary[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  return studies
    .filter(
      (study) =>
        (!filter.state || study.state === filter.state) &&
        (!filter.oracle || (study.oracle || NO_ORACLE) === filter.oracle) &&
        (!filter.label || labels(study).includes(filter.label)) &&
        matches(study, words),
    )
    .sort((one, other) => created(other).localeCompare(created(one)) || one.id.localeCompare(other.id));
}

function created(study: Summary): string {
  return study.create_time ?? "";
}

/** How a study is shown that clients measure. */
export const NO_ORACLE = "clients measure";

function matches(study: Summary, words: readonly string[]): boolean {
  if (!words.length) return true;
  const { id, oracle, generator, optimizer, group } = study;
  const text = [id, oracle, generator, optimizer, group ?? "", ...labels(study)].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function labels(study: Summary): string[] {
  return Object.entries(study.labels).map(([key, value]) => `${key}=${value}`);
}

export function oraclesOf(studies: readonly Summary[]): string[] {
  return [...new Set(studies.map((study) => study.oracle || NO_ORACLE))].sort();
}

export function labelsOf(studies: readonly Summary[]): string[] {
  return [...new Set(studies.flatMap(labels))].sort();
}
