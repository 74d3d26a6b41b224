/** A study that changes inputs until a criterion is met, as an attack does. */

import * as calls from "../../api/calls";
import type { BestJson, Study, Target } from "../../api/types";
import { count, percent, score } from "../../format/numbers";
import { inside } from "../../format/words";
import { Picture } from "../../parts/picture";

/** Whether a study searches for changes of inputs of its own. */
export function changesInputs({ spec }: Study): boolean {
  return inside(spec, "generator", "inputs")["inputs"] !== undefined;
}

/** Whether the targets of a study succeed or fail. */
export function hasCriterion({ spec }: Study): boolean {
  return Array.isArray(spec["criteria"]) && spec["criteria"].length > 0;
}

export function succeeded(target: Target): boolean {
  return target.stop_reason === "success";
}

/** The number of the input of a target in the array of all inputs. */
export function inputOf({ spec }: Study, target: number): number {
  const rows = inside(spec, "generator", "parameters")["rows"];
  return Array.isArray(rows) ? Number(rows[target]) : target;
}

/** What a target is called: an objective of an attack reads all classes, and differs by its label. */
export function nameOf(study: Study, target: Target): string {
  return changesInputs(study) ? `input ${inputOf(study, target.target)}` : target.title;
}

/** The input, or its change, beside the best stimulus. */
export function InputPicture(props: { study: Study; target: Target; what: "input" | "change"; size: number; eager?: boolean }) {
  const { study, target, what, size, eager } = props;
  const resolution = size > 130 ? 256 : 128;
  const src =
    what === "input"
      ? calls.inputPicture(study.id, target.target, resolution)
      : target.best_score === null
        ? null
        : calls.changePicture(study.id, target.target, resolution, `${target.best_score}`);
  return <Picture src={src} alt={`${what} of ${nameOf(study, target)}`} size={size} eager={eager ?? false} />;
}

/** How many targets have met their criterion, and the median of queries over all. */
export function successFacts(study: Study): [string, string][] {
  if (!hasCriterion(study)) return [];
  const { targets } = study;
  const fooled = targets.filter(succeeded).length;
  const queries = targets.map((target) => (succeeded(target) || !target.finished ? target.queries : study.queries_per_target ?? target.queries));
  return [
    ["Succeeded", `${count(fooled)} of ${count(targets.length)} (${percent(fooled / Math.max(1, targets.length))})`],
    ["Median queries", count(median(queries))],
  ];
}

function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  if (!sorted.length) return null;
  return sorted.length % 2 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** When the criterion was met, the predicted class, and the size of the change. */
export function successRows(study: Study, target: Target, found: BestJson | null): [string, string][] {
  const rows: [string, string][] = [];
  if (hasCriterion(study)) {
    const { success_row } = target;
    const when = found && success_row != null ? `, generation ${count(found.generation)}, row ${count(success_row)}` : "";
    rows.push(["Criterion", succeeded(target) ? `met${when}` : target.finished ? "not met" : "not met yet"]);
  }
  const change = found?.change;
  if (change) {
    rows.push(["Largest change", `${score(change.linf)} (${score(change.linf * 255, 3)} of 255)`]);
    rows.push(["Euclidean norm", score(change.l2)]);
    rows.push(["Places changed", count(change.l0)]);
  }
  return rows;
}
