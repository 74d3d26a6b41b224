/**
 * The errors of this client, in one tree of classes:
 *
 *     BlackboxError
 *     ├── InvalidInput            the same request can never succeed
 *     │   ├── InvalidSpec         a field of a specification is wrong
 *     │   ├── ShapeMismatch       an array has another shape or dtype than expected
 *     │   ├── UnknownUnit         the oracle has no such layer or unit
 *     │   └── MessageTooLarge     a message has more bytes than its receiver accepts
 *     ├── NotFound                no such study, oracle, generator or file
 *     ├── Conflict                the request is in conflict with existing data
 *     │   ├── StudyExists         a study of this id has another specification
 *     │   ├── ModelChanged        the study began with another oracle or generator
 *     │   ├── StudyClosed         the study has ended
 *     │   ├── SequenceTaken       another process wrote to this study first
 *     │   └── NotOwner            another process runs this study
 *     ├── Unsupported             the component does not support the request
 *     │   ├── GradientUnavailable order-1 optimizer, but no gradients
 *     │   ├── CapabilityMissing   the oracle or generator lacks a capability
 *     │   └── MissingExtra        an optional package is not installed
 *     ├── OracleError             the model could not be evaluated
 *     │   ├── OracleFailed        the model returned an error or an invalid answer
 *     │   ├── OracleUnavailable   the model cannot be reached
 *     │   ├── OracleTimeout       the model did not answer in time
 *     │   └── OutOfMemory         the batch does not fit into memory
 *     ├── StoreError              the journal could not be read or written
 *     │   └── StoreCorrupt        the file is damaged or has another format
 *     ├── Denied                  the caller is not allowed to do this
 *     │   ├── Unauthenticated     the caller's identity is unknown
 *     │   ├── Forbidden           the caller lacks the permission
 *     │   └── QuotaExceeded       the caller's quota is used up
 *     └── ServerError             a server could not process the request
 *         ├── ServerUnavailable   the server cannot be reached or did not answer in time
 *         └── ServerFailed        an unexpected failure; the server's log has the traceback
 *
 * The end of an `AbortSignal` of the caller is no error of this tree: the call throws the reason of
 * the signal.
 */

/** What an error has besides its message. */
export interface ErrorDetails {
  /** Path of the request's field at fault, such as `spec.targets[0].quantities[1]`. */
  field?: string;
  /** Time after which the same call may succeed. */
  retryAfterMs?: number;
  /** The reason as the server sent it; that of the class where it is not given. */
  reason?: string;
  cause?: unknown;
}

/** Base of all deliberate errors. Its message says what was expected, what came, and what to do. */
export class BlackboxError extends Error {
  override readonly name: string = "BlackboxError";
  /** Path of the request's field at fault; empty where there is none. */
  readonly field: string;
  /** Time after which the same call may succeed; undefined where nobody knows. */
  readonly retryAfterMs: number | undefined;
  readonly #reason: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.field = details.field ?? "";
    this.retryAfterMs = details.retryAfterMs;
    this.#reason = details.reason;
  }

  /** The reason on the wire, such as `STUDY_EXISTS`. */
  get reason(): string {
    return this.#reason ?? reasonOf(this.name);
  }
}

/** The reason of the class with a name: `STUDY_EXISTS` of `StudyExists`. */
export function reasonOf(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

/** The same request can never succeed. */
export class InvalidInput extends BlackboxError {
  override readonly name: string = "InvalidInput";
}

/** A field of a specification is wrong. */
export class InvalidSpec extends InvalidInput {
  override readonly name: string = "InvalidSpec";
}

/** An array has another shape or dtype than expected. */
export class ShapeMismatch extends InvalidInput {
  override readonly name: string = "ShapeMismatch";
}

/** The oracle has no such layer or unit. */
export class UnknownUnit extends InvalidInput {
  override readonly name: string = "UnknownUnit";
}

/** A message has more bytes than its receiver accepts. */
export class MessageTooLarge extends InvalidInput {
  override readonly name: string = "MessageTooLarge";
}

/** No such study, oracle, generator or file. */
export class NotFound extends BlackboxError {
  override readonly name: string = "NotFound";
}

/** The request is in conflict with existing data. */
export class Conflict extends BlackboxError {
  override readonly name: string = "Conflict";
}

/** A study of this id exists with another specification. */
export class StudyExists extends Conflict {
  override readonly name: string = "StudyExists";
}

/** The oracle or the generator differs from that of the study's beginning. */
export class ModelChanged extends Conflict {
  override readonly name: string = "ModelChanged";
}

/** The study has ended or is in a state that forbids the request. */
export class StudyClosed extends Conflict {
  override readonly name: string = "StudyClosed";
}

/** Another process wrote to this study first. */
export class SequenceTaken extends Conflict {
  override readonly name: string = "SequenceTaken";
}

/** Another process runs this study. */
export class NotOwner extends Conflict {
  override readonly name: string = "NotOwner";
}

/** The component does not support the request. */
export class Unsupported extends BlackboxError {
  override readonly name: string = "Unsupported";
}

/** An order-1 optimizer needs gradients that are not there. */
export class GradientUnavailable extends Unsupported {
  override readonly name: string = "GradientUnavailable";
}

/** The oracle or the generator lacks a requested capability. */
export class CapabilityMissing extends Unsupported {
  override readonly name: string = "CapabilityMissing";
}

/** An optional package is not installed. */
export class MissingExtra extends Unsupported {
  override readonly name: string = "MissingExtra";
}

/** The model could not be evaluated. */
export class OracleError extends BlackboxError {
  override readonly name: string = "OracleError";
}

/** The model returned an error or an invalid answer. */
export class OracleFailed extends OracleError {
  override readonly name: string = "OracleFailed";
}

/** The model cannot be reached. */
export class OracleUnavailable extends OracleError {
  override readonly name: string = "OracleUnavailable";
}

/** The model did not answer in time. */
export class OracleTimeout extends OracleError {
  override readonly name: string = "OracleTimeout";
}

/** The batch does not fit into memory. */
export class OutOfMemory extends OracleError {
  override readonly name: string = "OutOfMemory";
}

/** The journal could not be read or written. */
export class StoreError extends BlackboxError {
  override readonly name: string = "StoreError";
}

/** The file is damaged or has another format. */
export class StoreCorrupt extends StoreError {
  override readonly name: string = "StoreCorrupt";
}

/** The caller is not allowed to do this. */
export class Denied extends BlackboxError {
  override readonly name: string = "Denied";
}

/** The caller's identity is unknown. */
export class Unauthenticated extends Denied {
  override readonly name: string = "Unauthenticated";
}

/** The caller is known but lacks the permission. */
export class Forbidden extends Denied {
  override readonly name: string = "Forbidden";
}

/** The caller's quota is used up. */
export class QuotaExceeded extends Denied {
  override readonly name: string = "QuotaExceeded";
}

/** A server could not process the request. */
export class ServerError extends BlackboxError {
  override readonly name: string = "ServerError";
}

/** The server cannot be reached, or did not answer in time. */
export class ServerUnavailable extends ServerError {
  override readonly name: string = "ServerUnavailable";
}

/** The server failed unexpectedly; its log has the traceback. */
export class ServerFailed extends ServerError {
  override readonly name: string = "ServerFailed";
}
