/** A signal for one call: it ends with the signal of the caller, and when the call is over. */

/**
 * Unlike `AbortSignal.any` it leaves nothing behind at a signal of the caller that lives long.
 */
export class Scope {
  readonly #controller = new AbortController();
  readonly #given: AbortSignal | undefined;
  readonly #stop = () => this.#controller.abort(this.#given?.reason);

  constructor(given?: AbortSignal) {
    this.#given = given;
    if (given?.aborted) this.#stop();
    else given?.addEventListener("abort", this.#stop);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends what still goes on with this signal. */
  end(): void {
    this.#given?.removeEventListener("abort", this.#stop);
    this.#controller.abort();
  }
}
