/** Times on the wire, which are whole seconds and nanoseconds; this client has milliseconds. */

import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, type Timestamp } from "@bufbuild/protobuf/wkt";

import { InvalidInput } from "./errors.js";

const LONGEST_MS = 1e12;

export function toDuration(ms: number, field: string): Duration {
  if (!(ms >= 0 && ms <= LONGEST_MS)) {
    throw new InvalidInput(`${field}: expected milliseconds, 0 or more, got ${ms}`, { field });
  }
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - 1000 * seconds) * 1e6);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos });
}

export const toMs = (duration: Duration): number =>
  Number(duration.seconds) * 1000 + duration.nanos / 1e6;

export const toDate = (timestamp: Timestamp | undefined): Date =>
  new Date(timestamp ? Number(timestamp.seconds) * 1000 + timestamp.nanos / 1e6 : 0);
