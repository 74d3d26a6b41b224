/** What a server says of a study. Numbers of 64 bits are numbers here, but for the seed. */

import { toDate } from "./durations.js";
import {
  type Accounting as AccountingMessage,
  AccountingSchema,
  type Best as BestMessage,
  type Recheck,
  type Standing,
  type Study as Message,
  type TargetProgress as TargetMessage,
} from "./gen/blackbox_am/v1/study_pb.js";
import type { Generation as GenerationMessage } from "./gen/blackbox_am/v1/study_service_pb.js";
import { idOf, stateOf, type StopReason, stopReasonOf, type StudyState } from "./names.js";
import { fromMessage, type Tensor } from "./tensor.js";

export interface TargetProgress {
  readonly target: number;
  /** Its objective in words. */
  readonly title: string;
  readonly finished: boolean;
  readonly stopReason: StopReason;
  readonly queries: number;
  /** Undefined until something was measured. */
  readonly bestScore: number | undefined;
  /** Undefined without a baseline of natural images. */
  readonly natural: Standing | undefined;
  readonly recheck: Recheck | undefined;
}

/** What was measured, and what was asked of the oracle for it: see `Accounting` in `study.proto`. */
export type Accounting = {
  readonly [Field in Exclude<keyof AccountingMessage, `$${string}`>]: number;
};

export interface StudyProgress {
  readonly studyId: string;
  readonly state: StudyState;
  readonly stopReason: StopReason;
  /** Why it is in this state, or what it waits for; often empty. */
  readonly message: string;
  /** Number of the last event. */
  readonly sequence: number;
  /** The open generation, from 0. */
  readonly generation: number;
  /** Empty in listings. */
  readonly targets: readonly TargetProgress[];
  readonly targetCount: number;
  readonly bestScore: number | undefined;
  readonly accounting: Accounting;
  readonly queriesPerTarget: number;
  /** Candidates of each target in a full generation. */
  readonly population: number;
  /** As it was given, or drawn by the server. */
  readonly seed: bigint | undefined;
  /** Seconds spent searching. */
  readonly seconds: number;
  readonly optimizer: string;
  readonly oracle: string;
  readonly labels: Readonly<Record<string, string>>;
  /** All units that its targets read: the columns of `allUnits` in `tell`. */
  readonly units: readonly string[];
  readonly stimulusShape: readonly number[];
  readonly noisy: boolean;
  readonly warning: string;
  readonly createTime: Date;
  /** The whole message, with every field of the wire. */
  readonly raw: Message;
}

/** The best candidate of one target. */
export interface Best {
  readonly target: number;
  readonly title: string;
  readonly score: number;
  readonly generation: number;
  readonly row: number;
  /** (D,) float32, or int64 codes. */
  readonly latent: Tensor;
  /** Undefined unless stimuli were asked for. */
  readonly stimulus: Tensor | undefined;
  /** (U,) float64: what was measured; undefined for a candidate that is no row of the search. */
  readonly values: Tensor | undefined;
  readonly natural: Standing | undefined;
  readonly recheck: Recheck | undefined;
}

/** The scores of one closed generation. */
export interface Generation {
  readonly generation: number;
  readonly targets: readonly number[];
  /** (targets, rows) float64, NaN for failed or missing rows. */
  readonly scores: Tensor;
  readonly totalRows: number;
  readonly seconds: number;
}

export function progressOf(message: Message): StudyProgress {
  return {
    studyId: idOf(message.name),
    state: stateOf(message.state),
    stopReason: stopReasonOf(message.stopReason),
    message: message.message,
    sequence: Number(message.sequence),
    generation: message.generation,
    targets: message.targets.map(targetOf),
    targetCount: message.targetCount,
    bestScore: message.bestScore,
    accounting: accountingOf(message.accounting),
    queriesPerTarget: message.spec?.budget?.queriesPerTarget ?? 0,
    population: message.population,
    seed: message.spec?.seed,
    seconds: message.seconds,
    optimizer: message.optimizer?.name ?? "",
    oracle: message.spec?.oracle ?? "",
    labels: message.spec?.labels ?? {},
    units: message.units,
    stimulusShape: message.stimulusShape,
    noisy: message.noisy,
    warning: message.warning,
    createTime: toDate(message.createTime),
    raw: message,
  };
}

function targetOf(message: TargetMessage): TargetProgress {
  return {
    target: message.target,
    title: message.title,
    finished: message.finished,
    stopReason: stopReasonOf(message.stopReason),
    queries: message.queries,
    bestScore: message.bestScore,
    natural: message.natural,
    recheck: message.recheck,
  };
}

function accountingOf(message: AccountingMessage | undefined): Accounting {
  const numbers = AccountingSchema.fields.map(({ localName }) => {
    const value = message?.[localName as keyof AccountingMessage] as bigint | number | undefined;
    return [localName, Number(value ?? 0)];
  });
  return Object.fromEntries(numbers) as Accounting;
}

export function bestOf(message: BestMessage): Best {
  return {
    target: message.target,
    title: message.title,
    score: message.score,
    generation: message.generation,
    row: message.row,
    latent: fromMessage(message.latent, "latent"),
    stimulus: message.stimulus && fromMessage(message.stimulus, "stimulus"),
    values: message.values && fromMessage(message.values, "values"),
    natural: message.natural,
    recheck: message.recheck,
  };
}

export function generationOf(message: GenerationMessage): Generation {
  return {
    generation: message.generation,
    targets: message.targets,
    scores: fromMessage(message.scores, "scores"),
    totalRows: Number(message.totalRows),
    seconds: message.seconds,
  };
}
