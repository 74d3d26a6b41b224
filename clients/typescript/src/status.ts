/** Errors on the wire: from a failed call to an error of this client. */

import { Code, ConnectError } from "@connectrpc/connect";

import { type BlackboxError, MessageTooLarge, ServerUnavailable, Unsupported } from "./errors.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";
import { toMs } from "./durations.js";
import { unreachable } from "./reachable.js";
import { classOfCode, classOfReason } from "./table.js";

export const DOMAIN = "blackbox_am";

/** The server that a failed call went to. */
export interface Destination {
  readonly target: string;
  readonly encrypted: boolean;
  readonly certificate: boolean;
}

/**
 * The error for `error`, which a call has thrown. If the caller's signal has ended, this is the
 * reason of the signal.
 *
 * Connect reports a lost connection as `Canceled` and many failed connections as `Internal`: an
 * error that no server has sent means that the server is away.
 */
export function fromCall(error: unknown, to: Destination, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  if (!(error instanceof ConnectError)) return error;
  return error.metadata.has("grpc-status") ? sent(error, to) : local(error, to);
}

/** The error that a server has sent. */
function sent(error: ConnectError, to: Destination): BlackboxError {
  const info = error.findDetails(ErrorInfoSchema).find((one) => one.domain === DOMAIN);
  const violation = error.findDetails(BadRequestSchema)[0]?.fieldViolations[0];
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const details = {
    cause: error,
    ...(violation && { field: violation.field }),
    ...(delay && { retryAfterMs: toMs(delay) }),
    ...(info?.reason && { reason: info.reason }),
  };
  const known = info && classOfReason(info.reason);
  if (known) return new known(error.rawMessage, details);
  return ofCode(error, to, details);
}

function ofCode(error: ConnectError, to: Destination, details: object): BlackboxError {
  const text = error.rawMessage;
  switch (error.code) {
    case Code.Unavailable:
      return new ServerUnavailable(
        `cannot reach ${to.target} (${text}); check that the server runs and that the address is right`,
        details,
      );
    case Code.DeadlineExceeded:
      return new ServerUnavailable(late(to), details);
    case Code.Canceled:
      return new ServerUnavailable(`the call to ${to.target} was cancelled (${text})`, details);
    case Code.Unimplemented:
      return new Unsupported(`${to.target} does not know this call (${text})`, details);
    case Code.ResourceExhausted:
      if (text.includes("larger than max")) return tooLarge(text, details);
  }
  const message = text || `${to.target} answered ${Code[error.code]} and said nothing more`;
  return new (classOfCode(error.code))(message, details);
}

/** The error of a call that failed on this side, or on the way. */
function local(error: ConnectError, to: Destination): BlackboxError {
  const details = { cause: error };
  switch (error.code) {
    case Code.DeadlineExceeded:
      return new ServerUnavailable(late(to), details);
    case Code.ResourceExhausted:
      return tooLarge(error.rawMessage, details);
    case Code.InvalidArgument:
    case Code.Unimplemented:
      return ofCode(error, to, details);
  }
  return new ServerUnavailable(unreachable(error, to), details);
}

const late = (to: Destination) =>
  `${to.target} did not answer in time; give it more time (timeoutMs), or see what keeps it busy`;

const tooLarge = (text: string, details: object) =>
  new MessageTooLarge(
    `the message is too large for its receiver (${text}); send fewer rows at a time, or raise the ` +
      "limit where it is received (max_message_bytes)",
    details,
  );
