/** Watching a study, also after lost connections. */

import { create } from "@bufbuild/protobuf";

import type { Connection, Signalled } from "./connection.js";
import { toDuration } from "./durations.js";
import { eventOf, type StudyEvent } from "./events.js";
import { WatchStudyRequestSchema } from "./gen/blackbox_am/v1/study_service_pb.js";
import { Reconnecting } from "./reconnecting.js";
import { Scope } from "./scope.js";

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface WatchOptions extends Signalled {
  /** Only events after this one; all without it. */
  readonly afterSequence?: number;
  /** Events of generations that follow each other faster are left out, but for the last one. */
  readonly minIntervalMs?: number;
  /** Longest wait for a server that is away; that of the client without it. */
  readonly reconnectMs?: number;
}

export async function* watch(
  connection: Connection,
  name: string,
  options: WatchOptions,
): AsyncGenerator<StudyEvent, void, undefined> {
  const { signal, minIntervalMs = 0, reconnectMs = connection.reconnectMs } = options;
  const attempts = new Reconnecting(reconnectMs, connection.closing);
  let last = options.afterSequence ?? 0;
  for (;;) {
    const request = create(WatchStudyRequestSchema, {
      name,
      afterSequence: BigInt(last),
      ...(minIntervalMs > 0 && { minInterval: toDuration(minIntervalMs, "minIntervalMs") }),
    });
    const scope = new Scope(signal); // also ends the call where the caller leaves its loop
    try {
      const updates = connection.studies.watchStudy(request, connection.limited(scope, 0));
      for await (const { update } of updates) {
        attempts.answered();
        if (update.case !== "event" || Number(update.value.sequence) <= last) continue;
        last = Number(update.value.sequence);
        yield eventOf(update.value);
      }
      return;
    } catch (error) {
      await attempts.failed(connection.problem(error, signal), signal);
    } finally {
      scope.end();
    }
  }
}

/** Waits for the study's next change of state, or for `deadline` (of `performance.now`). */
export async function waitForEnd(
  connection: Connection,
  name: string,
  afterSequence: number,
  deadline: number,
  signal?: AbortSignal,
): Promise<void> {
  const scope = new Scope(signal);
  const left = deadline - performance.now();
  const timer = Number.isFinite(left)
    ? setTimeout(() => scope.end(), Math.min(left, LONGEST_TIMER_MS))
    : undefined;
  try {
    const options = { afterSequence, minIntervalMs: 1000, signal: scope.signal };
    for await (const event of watch(connection, name, options)) {
      if (event.kind === "stateChanged") return;
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (!scope.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
    scope.end();
  }
}
