/** Answers of the gateway as the page keeps them. */

import { inside, kindOf } from "../format/words";
import type { JsonObject, StimulusKind, Study, Summary, Target } from "./types";

/** A summary; the name of the optimizer also where the answer has it with its parameters. */
export function readSummary(answer: JsonObject): Summary {
  const given = answer["optimizer"];
  const optimizer = typeof given === "string" ? given : String(inside(answer, "optimizer")["name"] ?? "");
  return { labels: {}, ...answer, optimizer } as unknown as Summary;
}

export function readStudy(answer: JsonObject): Study {
  const settled = inside(answer, "optimizer");
  const sizes = (answer["stimulus_shape"] ?? []) as number[];
  const kind = (answer["stimulus_kind"] as StimulusKind | undefined) ?? kindOf(sizes);
  return {
    ...readSummary(answer),
    spec: inside(answer, "spec"),
    targets: (answer["targets"] ?? []) as unknown as Target[],
    accounting: inside(answer, "accounting") as Record<string, number>,
    optimizer_settled: {
      name: String(settled["name"] ?? ""),
      parameters: inside(settled, "parameters"),
    },
    stimulus_shape: sizes,
    stimulus_kind: kind,
    population: Number(answer["population"] ?? 0),
    warning: String(answer["warning"] ?? ""),
    noisy: answer["noisy"] === true,
    units: (answer["units"] ?? []) as string[],
    seed: (answer["seed"] ?? null) as number | null,
  };
}

/** Whether a message of the stream has the whole study, or its summary only. */
export function isWhole(answer: JsonObject): boolean {
  return Array.isArray(answer["targets"]) && "spec" in answer;
}
