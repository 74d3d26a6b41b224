/** Changes of studies: the token of this tab, and what the server said. */

import { ApiError, keepToken, readToken, sentence } from "../api/http";
import { type Signal, signal } from "./signal";

/** A change that waits for a token; null while nothing waits. */
export const asking: Signal<{ reason: string; go: () => void; stop: () => void } | null> =
  signal<{ reason: string; go: () => void; stop: () => void } | null>(null);

/**
 * Does a change; asks for a token first where there is none, and again where it is not accepted
 * (401). A change that the token does not allow (403) fails.
 */
export async function withToken<T>(change: () => Promise<T>): Promise<T> {
  if (!readToken()) await askedFor("The server asks for a token before it changes anything.");
  for (;;) {
    try {
      return await change();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      keepToken("");
      await askedFor(sentence(error));
    }
  }
}

export class NoToken extends Error {}

function askedFor(reason: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const close = (end: () => void) => () => {
      asking.value = null;
      end();
    };
    asking.value = {
      reason,
      go: close(resolve),
      stop: close(() => reject(new NoToken("no token was given; nothing was changed"))),
    };
  });
}
