/** Candidates to measure: asking for them. */

import { create } from "@bufbuild/protobuf";

import type { Connection, Signalled } from "./connection.js";
import { toDuration, toMs } from "./durations.js";
import {
  type AskRequest,
  AskRequestSchema,
  type AskResponse,
} from "./gen/blackbox_am/v1/study_service_pb.js";
import { type StimulusDtype, stateOf, stimulusDtype, type StudyState } from "./names.js";
import { sleep } from "./reconnecting.js";
import { fromMessage, type Tensor } from "./tensor.js";

const SHORTEST_WAIT_MS = 50;

/** Which candidates to ask for. */
export interface AskOptions extends Signalled {
  /** Largest number of candidates; as many as fit into one message without it. */
  readonly n?: number;
  /** Whether to send the rendered stimuli. */
  readonly stimuli?: boolean;
  /** Of the stimuli: `uint8` (0 to 255), or `float32` (0 to 1), which is exact. */
  readonly dtype?: StimulusDtype;
  /** How long the candidates are held for this client; 60 seconds. */
  readonly leaseMs?: number;
  /**
   * Longest wait where others hold all candidates, or the study is paused; 0 does not wait, and
   * without it there is no limit.
   */
  readonly waitMs?: number;
}

/** Candidates, held for this client for a limited time. */
export interface Candidates {
  /** A number for each candidate, for `tell`. */
  readonly ids: BigUint64Array;
  /** The target of each candidate. */
  readonly targets: Int32Array;
  /** (N, D) float32, or int64 codes. */
  readonly latents: Tensor;
  /** (N, *stimulus); undefined unless stimuli were asked for. */
  readonly stimuli: Tensor | undefined;
  readonly generation: number;
  readonly state: StudyState;
  /** The study has ended: there are and will be no candidates. */
  readonly done: boolean;
  /** When to ask again where there are no candidates now. */
  readonly retryAfterMs: number;
  readonly leaseId: string;
  readonly leaseMs: number;
}

export async function ask(
  connection: Connection,
  name: string,
  options: AskOptions,
): Promise<Candidates> {
  const request = requestOf(connection, name, options);
  const { signal, waitMs = Infinity } = options;
  const deadline = performance.now() + waitMs;
  for (;;) {
    const answer = await connection.persist((call) => connection.studies.ask(request, call), {
      signal,
    });
    const found = candidatesOf(answer);
    const left = deadline - performance.now();
    if (found.ids.length > 0 || found.done || left <= 0) return found;
    await sleep(
      Math.min(Math.max(found.retryAfterMs, SHORTEST_WAIT_MS), left),
      signal,
      connection.closing,
    );
  }
}

function requestOf(connection: Connection, name: string, options: AskOptions): AskRequest {
  return create(AskRequestSchema, {
    name,
    maxCandidates: options.n ?? 0,
    withStimuli: options.stimuli ?? false,
    stimulusDtype: stimulusDtype(options.dtype),
    clientId: connection.clientId,
    sessionId: connection.sessionId,
    ...(options.leaseMs !== undefined && {
      leaseDuration: toDuration(options.leaseMs, "leaseMs"),
    }),
  });
}

function candidatesOf(answer: AskResponse): Candidates {
  return {
    ids: BigUint64Array.from(answer.candidateIds),
    targets: Int32Array.from(answer.targets),
    latents: fromMessage(answer.latents, "latents"),
    stimuli: answer.stimuli && fromMessage(answer.stimuli, "stimuli"),
    generation: answer.generation,
    state: stateOf(answer.state),
    done: answer.done,
    retryAfterMs: answer.retryAfter ? toMs(answer.retryAfter) : 0,
    leaseId: answer.leaseId,
    leaseMs: answer.leaseDuration ? toMs(answer.leaseDuration) : 0,
  };
}
