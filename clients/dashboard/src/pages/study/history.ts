/** A target as it stood after an earlier generation. */

import type { Curves, Target } from "../../api/types";
import { placeOf } from "../../state/curves";

/** The best score after a generation; the present one for null, and where curves do not say. */
export function scoreAt(curves: Curves | null, target: Target, generation: number | null): number | null {
  if (generation === null) return target.best_score;
  const index = curves?.targets.indexOf(target.target) ?? -1;
  if (!curves || index < 0) return null;
  return curves.best_so_far[index]?.[placeOf(curves.generations, generation)] ?? null;
}
