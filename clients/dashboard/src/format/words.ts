/** States, reasons and parameters in words. */

import type { Json, JsonObject, StudyState, StimulusKind } from "../api/types";
import { DASH, score } from "./numbers";

interface Look {
  word: string;
  /** A sign that is told apart without colour. */
  sign: string;
  tone: "live" | "rest" | "good" | "bad";
}

const LOOKS: Record<StudyState, Look> = {
  pending: { word: "pending", sign: "○", tone: "rest" },
  running: { word: "running", sign: "●", tone: "live" },
  paused: { word: "paused", sign: "‖", tone: "rest" },
  succeeded: { word: "succeeded", sign: "✓", tone: "good" },
  failed: { word: "failed", sign: "✕", tone: "bad" },
  cancelled: { word: "cancelled", sign: "—", tone: "rest" },
};

export const STATES = Object.keys(LOOKS) as StudyState[];

/** How a state is shown; a state of a later server is shown by its name. */
export function look(state: string): Look {
  return LOOKS[state as StudyState] ?? { word: state, sign: "○", tone: "rest" };
}

/** Whether a study in this state can go on by itself. */
export function isLive(state: StudyState): boolean {
  return state === "running" || state === "pending";
}

export function hasEnded(state: StudyState): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}

const REASONS: Record<string, string> = {
  target: "score reached",
  budget: "budget spent",
  time: "time is up",
  patience: "no better score for long",
  user: "by a user",
  oracle: "oracle failed",
  success: "criterion met",
};

/** Why a study or a target stopped; empty where nothing is said. */
export function reason(name: string): string {
  return REASONS[name] ?? name;
}

/** One value of a JSON object in a table. */
export function value(content: Json | undefined): string {
  if (content === null || content === undefined) return DASH;
  if (typeof content === "number") {
    return Number.isInteger(content) && Math.abs(content) < 1e15 ? String(content) : score(content);
  }
  if (typeof content === "string") return content || DASH;
  if (typeof content === "boolean") return content ? "yes" : "no";
  if (Array.isArray(content)) {
    if (content.length > 8) return `${content.length} values`;
    return content.length ? content.map(value).join(", ") : DASH;
  }
  const pairs = Object.entries(content).map(([key, inner]) => `${key} ${value(inner)}`);
  return pairs.length ? pairs.join(", ") : DASH;
}

/** `search_rows` as `search rows`. */
export function spaced(name: string): string {
  return name.replaceAll("_", " ");
}

/** An object at `path`, or an empty one. */
export function inside(object: JsonObject | undefined, ...path: string[]): JsonObject {
  let found: Json | undefined = object;
  for (const step of path) {
    if (!found || typeof found !== "object" || Array.isArray(found)) return {};
    found = found[step];
  }
  return found && typeof found === "object" && !Array.isArray(found) ? found : {};
}

/** What stimuli of a shape are: the rule of the gateway, for what it has not said. */
export function kindOf(stimulusShape: readonly number[]): StimulusKind {
  if (stimulusShape.length >= 3) return "image";
  return stimulusShape.length === 2 ? "series" : "table";
}
