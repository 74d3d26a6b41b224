/** Pictures are loaded a few at a time: the browser has six connections to the dashboard. */

import { isReachable, store } from "../state/store";

const AT_ONCE = 3;

type Job = () => Promise<void>;

const waiting: Job[] = [];
let running = 0;

/** Runs a job when its turn comes; the answer takes a waiting job back. */
export function enqueue(job: Job): () => void {
  waiting.push(job);
  next();
  return () => {
    const place = waiting.indexOf(job);
    if (place >= 0) waiting.splice(place, 1);
  };
}

function next(): void {
  // Without the server there are no pictures; they wait until it is back.
  while (running < AT_ONCE && isReachable(store.state)) {
    const job = waiting.shift();
    if (!job) return;
    running += 1;
    void job().finally(() => {
      running -= 1;
      next();
    });
  }
}

store.subscribe(() => {
  if (waiting.length) next();
});
