/** The specification of a study from what was entered. */

import type { JsonObject } from "../api/types";

export interface Asked {
  id: string;
  oracle: string;
  generator: string;
  targets: string;
  queries: number;
  optimizer: string;
  seed: string;
  baseline: string;
  labels: string;
}

export const EMPTY: Asked = {
  id: "",
  oracle: "",
  generator: "",
  targets: "",
  queries: 1000,
  optimizer: "",
  seed: "",
  baseline: "",
  labels: "",
};

/** The JSON form of StudySpec, with objectives as text; what is empty is left to the server. */
export function specOf(asked: Asked): JsonObject {
  const spec: JsonObject = {
    generator: { name: asked.generator },
    targets: lines(asked.targets),
    budget: { queries_per_target: asked.queries },
  };
  if (asked.oracle) spec["oracle"] = asked.oracle;
  if (asked.optimizer.trim()) spec["optimizer"] = { name: asked.optimizer.trim() };
  if (asked.seed.trim()) spec["seed"] = Number(asked.seed);
  if (asked.baseline.trim() && asked.oracle) spec["baseline"] = { images: asked.baseline.trim() };
  const labels = labelsOf(asked.labels);
  if (Object.keys(labels).length) spec["labels"] = labels;
  return spec;
}

function lines(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

function labelsOf(text: string): Record<string, string> {
  const pairs = text.split(",").map((pair) => pair.trim()).filter(Boolean);
  return Object.fromEntries(
    pairs.map((pair) => {
      const place = pair.indexOf("=");
      return place < 0 ? [pair, ""] : [pair.slice(0, place).trim(), pair.slice(place + 1).trim()];
    }),
  );
}
