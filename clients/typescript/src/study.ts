/** One study on a server. */

import { ask, type AskOptions, type Candidates } from "./asking.js";
import type { Connection, Signalled } from "./connection.js";
import { toDuration } from "./durations.js";
import { StudyClosed } from "./errors.js";
import type { StudyEvent } from "./events.js";
import type { Study as Message } from "./gen/blackbox_am/v1/study_pb.js";
import { isActive, type StimulusDtype, stimulusDtype } from "./names.js";
import { pages } from "./pages.js";
import {
  type Best,
  bestOf,
  type Generation,
  generationOf,
  progressOf,
  type StudyProgress,
} from "./progress.js";
import { budgetOf, type Limits } from "./specs.js";
import { checked, tell, type TellOptions, type TellResult, type Values } from "./telling.js";
import type { Tensor } from "./tensor.js";
import { waitForEnd, watch, type WatchOptions } from "./watching.js";

/**
 * A function that measures candidates: from their stimuli if these were asked for, and else from their
 * latents. It may be async. NaN is a measurement that failed.
 */
export type Model = (input: Tensor, candidates: Candidates) => Values | Promise<Values>;

export interface AskTellOptions extends Omit<AskOptions, "waitMs"> {
  /** As in `tell`. */
  readonly allUnits?: boolean;
}

/** What a loop did: candidates that the model measured, and its calls. */
export interface AskTellResult {
  readonly measured: number;
  readonly calls: number;
}

export interface BestOptions extends Signalled {
  /** Whether to render each stimulus, and its dtype: uint8 (0 to 255), or float32 (0 to 1), exact. */
  readonly stimuli?: boolean;
  readonly dtype?: StimulusDtype;
  /** Only these targets; all without it. */
  readonly targets?: readonly number[];
  /** The best when this generation was closed; now without it. */
  readonly generation?: number;
}

export interface WaitOptions extends Signalled {
  /** The study can still be active after this time; no limit without it. */
  readonly timeoutMs?: number;
}

const GENERATIONS_A_PAGE = 1000;

/** A handle of a study. It holds the id only: the server has all data. */
export class Study {
  readonly #connection: Connection;
  readonly #name: string;

  constructor(
    connection: Connection,
    readonly id: string,
    /** The study as the server answered when it was created or found; undefined otherwise. */
    readonly created?: StudyProgress,
  ) {
    this.#connection = connection;
    this.#name = `studies/${id}`;
  }

  /** The study as it stands. */
  async progress(options: Signalled = {}): Promise<StudyProgress> {
    return this.#studied(options, (stub, call) => stub.getStudy({ name: this.#name }, call));
  }

  /**
   * Past and new events in order, until the study ends. After a lost connection they continue after
   * the last one, without gaps or repeats. Throws ServerUnavailable if the server does not come back
   * in time, and NotFound if the study is deleted.
   */
  watch(options: WatchOptions = {}): AsyncGenerator<StudyEvent, void, undefined> {
    return watch(this.#connection, this.#name, options);
  }

  /** Waits until the study has ended or is paused, also over restarts of the server. */
  async wait({ timeoutMs = Infinity, signal }: WaitOptions = {}): Promise<StudyProgress> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const now = await this.#studied(
        { signal },
        (stub, call) => stub.getStudy({ name: this.#name }, call),
        true,
      );
      if (!isActive(now.state) || performance.now() >= deadline) return now;
      await waitForEnd(this.#connection, this.#name, now.sequence, deadline, signal);
    }
  }

  /** The best candidate of each target that has one. */
  async best(options: BestOptions = {}): Promise<Best[]> {
    const { stimuli = false, targets = [], generation, signal } = options;
    const request = {
      name: this.#name,
      withStimuli: stimuli,
      stimulusDtype: stimulusDtype(options.dtype),
      targets: [...targets],
      ...(generation !== undefined && { generation }),
    };
    const found = await pages(async (pageToken) => {
      const answer = await this.#connection.call(
        (call) => this.#connection.studies.getBest({ ...request, pageToken }, call),
        { signal },
      );
      return [answer.best, answer.nextPageToken];
    });
    return found.map(bestOf);
  }

  /** The scores of the generations that were closed after number `after`, in order; of all without it. */
  async generations({ after, signal }: Signalled & { readonly after?: number } = {}): Promise<
    Generation[]
  > {
    const found = await pages(async (pageToken) => {
      const request = {
        name: this.#name,
        pageSize: GENERATIONS_A_PAGE,
        pageToken,
        ...(after !== undefined && { afterGeneration: after }),
      };
      const answer = await this.#connection.call(
        (call) => this.#connection.studies.listGenerations(request, call),
        { signal },
      );
      return [answer.generations, answer.nextPageToken];
    });
    return found.map(generationOf);
  }

  /**
   * Candidates to measure. Waits where others hold all of them, where the study is paused, and for a
   * server that is away. `done` is true when the study has ended.
   */
  async ask(options: AskOptions = {}): Promise<Candidates> {
    return ask(this.#connection, this.#name, options);
  }

  /**
   * Sends measurements, one number or row for each candidate. They are durable when it returns; sending
   * them again is harmless. Waits for a server that is away. Throws ShapeMismatch, before anything is
   * sent, for another number of values, and StudyClosed if the study has ended.
   */
  async tell(
    candidates: Candidates | BigUint64Array | readonly bigint[],
    values: Values,
    options: TellOptions = {},
  ): Promise<TellResult> {
    const ids = "ids" in candidates ? candidates.ids : BigUint64Array.from(candidates);
    return tell(this.#connection, this.#name, ids, values, options);
  }

  /**
   * Measures candidates with a function until the study ends. Waits where the study is paused, where
   * others hold all candidates, and for a server that is away.
   *
   * An error of the model ends the loop and comes out unchanged. The wrong number of values is
   * ShapeMismatch, and nothing is sent. When `signal` ends, what the model measures at that moment is
   * still sent, and the loop throws the reason of the signal. A program that starts again under its
   * `clientId` gets the candidates that it held back at once.
   */
  async askTell(model: Model, options: AskTellOptions = {}): Promise<AskTellResult> {
    let [measured, calls] = [0, 0];
    for (;;) {
      const candidates = await this.ask(options);
      if (candidates.done) return { measured, calls };
      calls += 1;
      const values = await model(candidates.stimuli ?? candidates.latents, candidates);
      checked(values, candidates.ids.length);
      measured += candidates.ids.length;
      try {
        await this.tell(candidates, values, { allUnits: options.allUnits ?? false });
      } catch (error) {
        if (!(error instanceof StudyClosed)) throw error; // ended while the model measured: ask says so
      }
    }
  }

  /** Extends a lease; returns how many of its candidates are still held. */
  async renew(
    lease: Candidates | string,
    { leaseMs = 60_000, signal }: Signalled & { readonly leaseMs?: number } = {},
  ): Promise<number> {
    const leaseId = typeof lease === "string" ? lease : lease.leaseId;
    const request = { name: this.#name, leaseId, leaseDuration: toDuration(leaseMs, "leaseMs") };
    const answer = await this.#connection.call(
      (call) => this.#connection.studies.renewLease(request, call),
      { signal },
    );
    return answer.held;
  }

  /** Pauses the study: no candidates are handed out or evaluated until `resume`. */
  async pause(options: Signalled = {}): Promise<StudyProgress> {
    return this.#studied(options, (stub, call) => stub.pauseStudy({ name: this.#name }, call));
  }

  /** Sets a paused or failed study going; `adopt`: with the models that the server has now. */
  async resume({
    adopt = false,
    signal,
  }: Signalled & { readonly adopt?: boolean } = {}): Promise<StudyProgress> {
    return this.#studied({ signal }, (stub, call) =>
      stub.resumeStudy({ name: this.#name, adopt }, call),
    );
  }

  /** Ends the study for good. */
  async cancel(options: Signalled = {}): Promise<StudyProgress> {
    return this.#studied(options, (stub, call) => stub.cancelStudy({ name: this.#name }, call));
  }

  /** Raises limits; a study that had used its budget up continues. */
  async extend(limits: Limits, options: Signalled = {}): Promise<StudyProgress> {
    const request = { name: this.#name, budget: budgetOf(limits) };
    return this.#studied(options, (stub, call) => stub.extendStudy(request, call));
  }

  /** Deletes the study and all its data. */
  async delete(options: Signalled = {}): Promise<void> {
    await this.#connection.call(
      (call) => this.#connection.studies.deleteStudy({ name: this.#name }, call),
      options,
    );
  }

  async #studied(
    options: Signalled,
    send: (
      stub: Connection["studies"],
      call: Parameters<Connection["studies"]["getStudy"]>[1],
    ) => Promise<{ study?: Message | undefined }>,
    repeated = false,
  ): Promise<StudyProgress> {
    const sent = (call: Parameters<Connection["studies"]["getStudy"]>[1]) =>
      send(this.#connection.studies, call);
    const answer = repeated
      ? await this.#connection.persist(sent, options)
      : await this.#connection.call(sent, options);
    return progressOf(answer.study!);
  }
}
