/** What studies found for the units of a layer. */

import type { Study, Target } from "../api/types";

export interface Found {
  unit: string;
  study: Study;
  target: Target;
}

/** The best of each unit in the order of units; a target counts that reads one unit alone. */
export function bestOf(studies: readonly Study[], layer: string): Found[] {
  const best = new Map<string, Found>();
  for (const study of studies) {
    for (const target of study.targets) {
      const unit = target.title;
      if (layerOf(unit) !== layer || target.best_score === null) continue;
      const known = best.get(unit)?.target.best_score ?? null;
      if (known === null || target.best_score > known) best.set(unit, { unit, study, target });
    }
  }
  return [...best.values()].sort((one, other) => one.unit.localeCompare(other.unit, "en", { numeric: true }));
}

const SIMPLE = /^(?:"((?:[^"\\]|\\.)*)"|([^:@!"\s(*+]+)):\d+(?:@[^\s]+)?(?:![a-z]+)?$/;

/** The layer of a title that is the address of one unit; null for other objectives. */
export function layerOf(title: string): string | null {
  const found = SIMPLE.exec(title);
  if (!found) return null;
  return found[2] ?? (found[1] ?? "").replaceAll(/\\(.)/g, "$1");
}
