/** Waiting: for a server that is away, and for a time. */

import { ServerUnavailable } from "./errors.js";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1000;

/** Waits for a server that is away, longer after each attempt, up to a limit. */
export class Reconnecting {
  #pauseMs = FIRST_PAUSE_MS;
  #lostSince: number | undefined;

  constructor(
    private readonly limitMs: number,
    private readonly closing: AbortSignal,
  ) {}

  /** Notes that the server answered: a later failure counts as the first one. */
  answered(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#lostSince = undefined;
  }

  /**
   * Waits before the next attempt. Throws `error` if it is no lost connection, or if the server did
   * not come back in time, and the reason of `signal` if that ends first.
   */
  async failed(error: unknown, signal?: AbortSignal): Promise<void> {
    if (!(error instanceof ServerUnavailable) || this.closing.aborted) throw error;
    const now = performance.now();
    this.#lostSince ??= now;
    const wait = Math.max(this.#pauseMs, error.retryAfterMs ?? 0);
    if (now + wait > this.#lostSince + this.limitMs) throw error;
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
    await sleep(wait, signal, this.closing);
  }
}

/** Waits for a time; throws the reason of a signal that ends first. */
export function sleep(ms: number, ...signals: (AbortSignal | undefined)[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (event: Event) => finish(() => reject((event.target as AbortSignal).reason));
    const timer = setTimeout(() => finish(resolve), ms);
    function finish(then: () => void): void {
      clearTimeout(timer);
      for (const signal of signals) signal?.removeEventListener("abort", stop);
      then();
    }
    for (const signal of signals) {
      if (signal?.aborted) return finish(() => reject(signal.reason));
      signal?.addEventListener("abort", stop);
    }
  });
}
