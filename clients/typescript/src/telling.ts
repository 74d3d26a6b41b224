/** Measurements of candidates: checking, splitting and sending them. */

import { create } from "@bufbuild/protobuf";

import type { Connection, Signalled } from "./connection.js";
import { ShapeMismatch } from "./errors.js";
import {
  type TellRequest,
  TellRequestSchema,
  type TellResponse,
} from "./gen/blackbox_am/v1/study_service_pb.js";
import { stateOf, type StudyState } from "./names.js";
import { Tensor, toMessage } from "./tensor.js";

/** Requests that are larger are split, so that any server takes them. */
export const SEND_BYTES = 3 * 2 ** 20;
/** The largest size of one candidate's id in a request. */
const ID_BYTES = 16;

/**
 * Measurements of N candidates, NaN where one failed: one number for each, or (N, U) float32 or
 * float64 with the units of each candidate's target, shorter rows filled up with NaN.
 */
export type Values = readonly number[] | Float64Array | Float32Array | Tensor;

export interface TellOptions extends Signalled {
  /** Whether each row of (N, U) has all units of the study, in the order of `StudyProgress.units`. */
  readonly allUnits?: boolean;
}

/** What became of measurements. */
export interface TellResult {
  readonly accepted: number;
  /** Rows that were told before, or whose generation was closed. */
  readonly repeated: number;
  readonly state: StudyState;
  /** The study has ended. */
  readonly done: boolean;
  /** The open generation, and the number of the last event, afterwards. */
  readonly generation: number;
  readonly sequence: number;
}

export async function tell(
  connection: Connection,
  name: string,
  ids: BigUint64Array,
  values: Values,
  options: TellOptions,
): Promise<TellResult> {
  const rows = checked(values, ids.length);
  const rowBytes = rows instanceof Tensor ? rows.data.length / Math.max(ids.length, 1) : 8;
  const step = Math.max(1, Math.floor(SEND_BYTES / (ID_BYTES + rowBytes)));
  let accepted = 0;
  let repeated = 0;
  for (let start = 0; ; start += step) {
    const stop = Math.min(start + step, ids.length);
    const request = requestOf(name, ids, rows, start, stop, options.allUnits ?? false);
    const answer = await connection.persist(
      (call) => connection.studies.tell(request, call),
      options,
    );
    accepted += answer.accepted;
    repeated += answer.repeated;
    if (stop === ids.length) return resultOf(answer, accepted, repeated);
  }
}

/** Throws ShapeMismatch if there is not one number or row for each candidate. */
export function checked(values: Values, candidates: number): Values {
  const table = values instanceof Tensor;
  const floats = !table || values.dtype === "float32" || values.dtype === "float64";
  const rows = table ? values.rows : values?.length;
  const numbers =
    table ||
    !Array.isArray(values) ||
    (values as unknown[]).every((value) => typeof value === "number");
  if (rows === candidates && floats && numbers && (!table || values.shape.length === 2))
    return values;
  const got = table
    ? `${values.dtype} of shape [${values.shape}]`
    : rows === undefined || !numbers
      ? describe(values)
      : `${rows} numbers`;
  throw new ShapeMismatch(
    `values: expected one number, or one row of float32 or float64, for each of ${candidates} ` +
      `candidates, got ${got}`,
    { field: "values" },
  );
}

function describe(values: unknown): string {
  return Array.isArray(values)
    ? "a list with other things than numbers"
    : `a value of type ${typeof values}`;
}

function requestOf(
  name: string,
  ids: BigUint64Array,
  values: Values,
  start: number,
  stop: number,
  allUnits: boolean,
): TellRequest {
  const candidateIds = Array.from(ids.subarray(start, stop));
  if (values instanceof Tensor) {
    const value = toMessage(
      start === 0 && stop === values.rows ? values : values.slice(start, stop),
    );
    const measurement = {
      case: allUnits ? ("allUnits" as const) : ("activations" as const),
      value,
    };
    return create(TellRequestSchema, { name, candidateIds, measurement });
  }
  const scores = Array.from(values.slice(start, stop));
  const measurement = { case: "scores" as const, value: { values: scores } };
  return create(TellRequestSchema, { name, candidateIds, measurement });
}

function resultOf(answer: TellResponse, accepted: number, repeated: number): TellResult {
  return {
    accepted,
    repeated,
    state: stateOf(answer.state),
    done: answer.done,
    generation: answer.generation,
    sequence: Number(answer.sequence),
  };
}
