/** What happens to a study. */

import { toDate } from "./durations.js";
import type { Budget } from "./gen/blackbox_am/v1/study_pb.js";
import type { StudyEvent as Message } from "./gen/blackbox_am/v1/study_event_pb.js";
import { stateOf, type StopReason, stopReasonOf, type StudyState } from "./names.js";

/** One entry in each list for each target that took part. */
export interface GenerationClosed {
  readonly kind: "generationClosed";
  readonly generation: number;
  readonly targets: readonly number[];
  /** Of this generation alone; NaN where every row failed. */
  readonly bestScores: readonly number[];
  readonly meanScores: readonly number[];
  /** Of this and all earlier generations; it never falls. */
  readonly bestSoFar: readonly number[];
  readonly totalRows: number;
  readonly searchRows: number;
  readonly seconds: number;
}

export interface BestRechecked {
  readonly kind: "bestRechecked";
  readonly generation: number;
  readonly targets: readonly number[];
  readonly bestScores: readonly number[];
  readonly standardErrors: readonly number[];
  readonly totalRows: number;
}

/** What happened; `unknown` is an event of a later server. */
export type Happening =
  | { readonly kind: "created" }
  | {
      readonly kind: "stateChanged";
      readonly state: StudyState;
      readonly stopReason: StopReason;
      readonly message: string;
    }
  | { readonly kind: "generationOpened"; readonly generation: number; readonly candidates: number }
  | {
      readonly kind: "rowsTold";
      readonly generation: number;
      readonly rows: number;
      readonly failed: number;
    }
  | GenerationClosed
  | { readonly kind: "budgetChanged"; readonly budget: Budget | undefined }
  | {
      readonly kind: "resumed";
      readonly generation: number;
      /** Whether nothing was lost; otherwise `message` says what. */
      readonly exact: boolean;
      readonly message: string;
    }
  | { readonly kind: "adopted"; readonly message: string }
  | { readonly kind: "baselineMeasured"; readonly images: number }
  | BestRechecked
  | { readonly kind: "unknown" };

/** An event. Sequence numbers have no gaps, except where `minIntervalMs` leaves events out. */
export type StudyEvent = { readonly sequence: number; readonly time: Date } & Happening;

export function eventOf(message: Message): StudyEvent {
  return {
    sequence: Number(message.sequence),
    time: toDate(message.time),
    ...happeningOf(message.event),
  };
}

function happeningOf(event: Message["event"]): Happening {
  switch (event.case) {
    case "created":
      return { kind: "created" };
    case "stateChanged": {
      const { state, stopReason, message } = event.value;
      return {
        kind: event.case,
        state: stateOf(state),
        stopReason: stopReasonOf(stopReason),
        message,
      };
    }
    case "generationOpened": {
      const { generation, candidates } = event.value;
      return { kind: event.case, generation, candidates: Number(candidates) };
    }
    case "rowsTold": {
      const { generation, rows, failed } = event.value;
      return { kind: event.case, generation, rows: Number(rows), failed: Number(failed) };
    }
    case "generationClosed": {
      const { $typeName: _, $unknown: __, totalRows, searchRows, ...rest } = event.value;
      const rows = { totalRows: Number(totalRows), searchRows: Number(searchRows) };
      return { kind: event.case, ...rest, ...rows };
    }
    case "budgetChanged":
      return { kind: event.case, budget: event.value.budget };
    case "resumed": {
      const { generation, exact, message } = event.value;
      return { kind: event.case, generation, exact, message };
    }
    case "adopted":
      return { kind: event.case, message: event.value.message };
    case "baselineMeasured":
      return { kind: event.case, images: Number(event.value.images) };
    case "bestRechecked": {
      const { $typeName: _, $unknown: __, totalRows, ...rest } = event.value;
      return { kind: event.case, ...rest, totalRows: Number(totalRows) };
    }
    default:
      return { kind: "unknown" };
  }
}
