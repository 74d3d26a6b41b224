/** What the gateway answers, as blackbox_am/gateway/openapi.json describes it. */

export type StudyState =
  | "pending"
  | "running"
  | "paused"
  | "succeeded"
  | "failed"
  | "cancelled";

export interface Server {
  version: string;
  api_version: string;
  connected: boolean;
  message: string;
  device: string;
  features: string[];
  changes_allowed: boolean;
  address?: string;
}

/** A study as listings show it. */
export interface Summary {
  id: string;
  state: StudyState;
  stop_reason: string;
  message: string;
  oracle: string;
  generator: string;
  optimizer: string;
  labels: Record<string, string>;
  target_count: number;
  best_score: number | null;
  search_rows: number;
  oracle_rows: number;
  cost: number;
  seconds: number;
  queries_per_target?: number;
  create_time: string | null;
  sequence: number;
  generation: number;
  group?: string | null;
}

export interface Standing {
  images: number;
  best_image: number;
  maximum: number | null;
  mean: number | null;
  standard_deviation: number | null;
  rank?: number | null;
  standardised?: number | null;
  ratio?: number | null;
}

export interface Estimate {
  mean: number | null;
  standard_error?: number | null;
  rows: number;
}

export interface Recheck {
  source: string;
  row: Estimate | null;
  centre?: Estimate | null;
}

export interface Target {
  target: number;
  title: string;
  finished: boolean;
  stop_reason: string;
  queries: number;
  best_score: number | null;
  /** The row that met the criterion, in the generation of the best; null until one does. */
  success_row?: number | null;
  natural: Standing | null;
  recheck: Recheck | null;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };
export type StimulusKind = "image" | "series" | "table";

export interface Study extends Summary {
  spec: JsonObject;
  targets: Target[];
  accounting: Record<string, number>;
  optimizer_settled: { name: string; parameters: JsonObject };
  stimulus_shape: number[];
  stimulus_kind: StimulusKind;
  population: number;
  warning: string;
  noisy: boolean;
  units: string[];
  seed: number | null;
}

export interface Curves {
  targets: number[];
  titles: string[];
  generations: number[];
  rows: number[];
  best_so_far: (number | null)[][];
  mean: (number | null)[][];
  natural_maximum: (number | null)[];
  natural_mean?: (number | null)[];
}

/** The best stimulus of a target in numbers. */
export interface BestJson {
  score: number | null;
  generation: number;
  row: number;
  shape: number[];
  kind: StimulusKind;
  values: number[][] | number[] | Record<string, Json> | null;
  /** Of an attack: the number of the changed input, and the size of the change. */
  change?: { input: number; linf: number; l2: number; l0: number } | null;
  activations?: Record<string, number | null> | (number | null)[];
}

export interface LogEntry {
  sequence: number;
  time: string;
  kind: string;
  text: string;
}

export interface Layer {
  name: string;
  kind: string;
  shape: number[];
  axes: string[];
  units: number;
  labels?: string[];
}

export interface OracleRow {
  name: string;
  kind: string;
  stimulus_shape: number[];
  problem: string;
  capabilities?: string[];
  wrappers?: string[];
}

export interface Oracle extends OracleRow {
  layers: Layer[];
  deterministic?: boolean;
  fingerprint?: string;
  notes?: string[];
}

export interface GeneratorRow {
  name: string;
  kind: string;
  stimulus_shape: number[];
  summary: string;
  problem: string;
  licence?: string;
  targets?: number;
  space?: JsonObject;
}

export interface NaturalImage {
  rank: number;
  activation: number | null;
  png: string;
}

export interface Member {
  name: string;
  study: Summary | null;
}

export interface Group {
  id: string;
  state: StudyState;
  labels: Record<string, string>;
  members: Member[];
  create_time?: string | null;
  unfinished?: string;
}

/** Messages of the stream; `study` and `sequence` in those of one study. */
export type StreamMessage =
  | { kind: "study"; data: Study | Summary }
  | { kind: "generation"; data: GenerationData }
  | { kind: "state"; data: StateData }
  | { kind: "rechecked"; data: { study: string; sequence: number } }
  | { kind: "note"; data: { study: string; sequence: number; text: string } }
  | { kind: "listing"; data: { studies: Summary[]; deleted: string[]; reset: boolean } }
  | { kind: "deleted"; data: { study: string; message: string } }
  | { kind: "problem"; data: { study?: string; message: string } }
  | { kind: "server"; data: { connected: boolean; message: string } };

export interface GenerationData {
  study: string;
  sequence: number;
  generation: number;
  rows: number;
  targets: number[];
  best_scores: (number | null)[];
  mean_scores: (number | null)[];
  best_so_far: (number | null)[];
  seconds?: number;
}

export interface StateData {
  study: string;
  sequence: number;
  state: StudyState;
  stop_reason: string;
  message: string;
}
