/** One table of error classes and gRPC codes, used in both directions. */

import { Code } from "@connectrpc/connect";

import * as errors from "./errors.js";
import { type BlackboxError, type ErrorDetails, reasonOf } from "./errors.js";

export type ErrorClass = new (message: string, details?: ErrorDetails) => BlackboxError;

interface Row {
  readonly name: string;
  readonly type: ErrorClass;
  readonly code: Code;
  readonly retryMs: number | undefined;
}

function row(name: keyof typeof errors & string, code: Code, retryMs?: number): Row {
  return { name, type: errors[name] as unknown as ErrorClass, code, retryMs };
}

/** The first class of a code is that of an error without a reason. */
export const ROWS: readonly Row[] = [
  row("InvalidInput", Code.InvalidArgument),
  row("InvalidSpec", Code.InvalidArgument),
  row("ShapeMismatch", Code.InvalidArgument),
  row("UnknownUnit", Code.InvalidArgument),
  row("MessageTooLarge", Code.InvalidArgument),
  row("NotFound", Code.NotFound),
  row("Conflict", Code.Aborted),
  row("StudyExists", Code.AlreadyExists),
  row("StudyClosed", Code.FailedPrecondition),
  row("ModelChanged", Code.FailedPrecondition),
  row("SequenceTaken", Code.Aborted, 1000),
  row("NotOwner", Code.Aborted, 1000),
  row("Unsupported", Code.Unimplemented),
  row("GradientUnavailable", Code.Unimplemented),
  row("CapabilityMissing", Code.Unimplemented),
  row("MissingExtra", Code.Unimplemented),
  row("Denied", Code.PermissionDenied),
  row("Unauthenticated", Code.Unauthenticated),
  row("Forbidden", Code.PermissionDenied),
  row("QuotaExceeded", Code.ResourceExhausted, 60_000),
  row("ServerFailed", Code.Internal),
  row("ServerUnavailable", Code.Unavailable, 1000),
  row("ServerError", Code.Unknown),
  row("OracleError", Code.Internal),
  row("OracleFailed", Code.Internal),
  row("OracleUnavailable", Code.Unavailable, 5000),
  row("OracleTimeout", Code.DeadlineExceeded, 5000),
  row("OutOfMemory", Code.ResourceExhausted),
  row("StoreError", Code.Unavailable, 2000),
  row("StoreCorrupt", Code.DataLoss),
  row("BlackboxError", Code.Unknown),
];

const BY_REASON = new Map(ROWS.map((entry) => [reasonOf(entry.name), entry]));
const BY_NAME = new Map(ROWS.map((entry) => [entry.name, entry]));
const BY_CODE = new Map([...ROWS].reverse().map((entry) => [entry.code, entry.type]));

/** The class with this reason; undefined for a reason of a later version. */
export const classOfReason = (reason: string): ErrorClass | undefined =>
  BY_REASON.get(reason)?.type;

/** The class of an error that has no reason. */
export const classOfCode = (code: Code): ErrorClass => BY_CODE.get(code) ?? errors.ServerFailed;

/** The class with a name, such as `OutOfMemory`; undefined if there is none. */
export const classOfName = (name: string): ErrorClass | undefined => BY_NAME.get(name)?.type;

/** The row of an error: that of its class, or of the nearest base class. */
export function rowOf(error: BlackboxError): Row {
  for (let type = error.constructor; type; type = Object.getPrototypeOf(type)) {
    const found = ROWS.find((entry) => entry.type === type);
    if (found) return found;
  }
  throw new TypeError(`expected an error of this client, got ${error.name}`);
}
