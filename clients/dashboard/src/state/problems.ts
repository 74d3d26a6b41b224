/** What went wrong: shown until the reader dismisses it, or until the same request succeeds. */

import { ApiError, isAway, sentence } from "../api/http";
import { signal, type Signal } from "./signal";

export interface Problem {
  /** What the problem is of, such as the id of a study; empty where it is of the page. */
  of: string;
  text: string;
  missing: boolean;
}

export const problems: Signal<readonly Problem[]> = signal<readonly Problem[]>([]);

/** Keeps an error for the reader. An absent server is shown elsewhere, once. */
export function thrown(error: unknown, of = ""): void {
  if (isAway(error)) return;
  if (!(error instanceof ApiError)) console.error(error);
  told(sentence(error), of, error instanceof ApiError && error.status === 404);
}

/** Keeps a sentence for the reader, in place of an earlier one of the same thing. */
export function told(text: string, of: string, missing: boolean): void {
  dismissed(of);
  problems.value = [...problems.value, { of, text, missing }];
}

export function dismissed(of: string): void {
  problems.value = problems.value.filter((problem) => problem.of !== of);
}
