/** Verbs of watches, which collect events in the background. */

import type { StudyEvent, WatchOptions } from "../src/index.js";
import type { Driver } from "./driver.js";
import { type Arguments, double, DriverError, given, type Json, nameJson } from "./values.js";

/** A watch that goes on in the background. */
export class Watch {
  readonly #ending = new AbortController();
  #events: Json[] = [];
  #ended = false;
  #error: unknown;
  #changed = () => {};

  constructor(watch: (signal: AbortSignal) => AsyncIterable<StudyEvent>) {
    void this.#collect(watch(this.#ending.signal));
  }

  stop(): void {
    this.#ending.abort();
  }

  async #collect(events: AsyncIterable<StudyEvent>): Promise<void> {
    try {
      for await (const event of events) {
        this.#events.push(eventJson(event));
        this.#changed();
      }
    } catch (error) {
      this.#error = error;
    }
    this.#ended = true;
    this.#changed();
  }

  /** As soon as `count` events are there, the watch has ended, or the time is over. */
  async next(count: number, timeoutMs: number): Promise<Json> {
    const deadline = performance.now() + timeoutMs;
    while (this.#events.length < count && !this.#ended && performance.now() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - performance.now());
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#events.length === 0 && this.#error !== undefined) throw this.#error;
    const events = this.#events.splice(0, count);
    const ended = this.#ended && this.#error === undefined && this.#events.length === 0;
    return { events, ended };
  }
}

function eventJson(event: StudyEvent): Json {
  const { sequence, kind } = event;
  const named = { sequence, kind: kind === "unknown" ? "" : snake(kind) };
  switch (event.kind) {
    case "stateChanged": {
      const { state, stopReason, message } = event;
      return { ...named, state: nameJson(state), stop_reason: nameJson(stopReason), message };
    }
    case "generationOpened":
      return { ...named, generation: event.generation, candidates: event.candidates };
    case "rowsTold":
      return { ...named, generation: event.generation, rows: event.rows, failed: event.failed };
    case "generationClosed":
      return {
        ...named,
        generation: event.generation,
        targets: event.targets,
        best_scores: event.bestScores.map(double),
        mean_scores: event.meanScores.map(double),
        best_so_far: event.bestSoFar.map(double),
        total_rows: event.totalRows,
        search_rows: event.searchRows,
      };
    case "budgetChanged":
      return { ...named, queries_per_target: event.budget?.queriesPerTarget ?? 0 };
    case "resumed":
      return { ...named, generation: event.generation, exact: event.exact };
    default:
      return named;
  }
}

const snake = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function found(driver: Driver, a: Arguments): Watch {
  const name = a.need<string>("watch");
  const watch = driver.watches.get(name);
  if (!watch) throw new DriverError(`no watch ${name}`);
  return watch;
}

export const verbs = {
  async watch_start(driver: Driver, a: Arguments): Promise<Json> {
    const name = a.need<string>("watch");
    const study = driver.study(a);
    const options = {
      ...a.options<WatchOptions>({ after_sequence: "afterSequence" }),
      ...given<WatchOptions>({
        minIntervalMs: a.ms("min_interval_s"),
        reconnectMs: a.ms("reconnect_s"),
      }),
    };
    driver.watches.get(name)?.stop();
    driver.watches.set(name, new Watch((signal) => study.watch({ ...options, signal })));
    return {};
  },
  async watch_next(driver: Driver, a: Arguments): Promise<Json> {
    return found(driver, a).next(a.need("count"), a.ms("timeout_s") ?? 0);
  },
  async watch_stop(driver: Driver, a: Arguments): Promise<Json> {
    found(driver, a).stop();
    driver.watches.delete(a.need("watch"));
    return {};
  },
};
