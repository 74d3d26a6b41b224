/** Errors on the wire: from an error of an oracle to the answer of a call. */

import { ConnectError } from "@connectrpc/connect";

import { toDuration } from "./durations.js";
import { BlackboxError, OracleFailed, reasonOf } from "./errors.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";
import { DOMAIN } from "./status.js";
import { rowOf } from "./table.js";

/** A message is sent three times in HTTP headers, which hold 8 KiB in all. */
const MAX_MESSAGE_BYTES = 1200;

/**
 * `error` as the answer of an oracle: code, message, reason, field and time. An error that is none of
 * this client's is OracleFailed.
 */
export function toAnswer(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error; // of the call itself, such as its end
  const known = error instanceof BlackboxError ? error : failed(error);
  const { name, code, retryMs } = rowOf(known);
  const message = shortened(known.message);
  const reason = reasonOf(name);
  const answer = new ConnectError(message, code, undefined, [
    { desc: ErrorInfoSchema, value: { reason, domain: DOMAIN } },
  ]);
  if (known.field) {
    const violation = { field: shortened(known.field), description: message };
    answer.details.push({ desc: BadRequestSchema, value: { fieldViolations: [violation] } });
  }
  const wait = known.retryAfterMs ?? retryMs;
  if (wait !== undefined) {
    answer.details.push({
      desc: RetryInfoSchema,
      value: { retryDelay: toDuration(wait, "retryAfterMs") },
    });
  }
  return answer;
}

function failed(error: unknown): OracleFailed {
  const text = error instanceof Error ? error.message : String(error);
  return new OracleFailed(`the model failed: ${text}`, { cause: error });
}

function shortened(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= MAX_MESSAGE_BYTES) return text;
  // Characters that the limit cuts in two are left out.
  const start = new TextDecoder().decode(bytes.subarray(0, MAX_MESSAGE_BYTES), { stream: true });
  return `${start} ...`;
}
