/** Pictures are loaded a few at a time: the browser has six connections to the dashboard. */

import { store } from "../state/store";

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
  while (running < AT_ONCE && reachable()) {
    const job = waiting.shift();
    if (!job) return;
    running += 1;
    void job().finally(() => {
      running -= 1;
      next();
    });
  }
}

/** Without the server there are no pictures; they wait until it is back. */
function reachable(): boolean {
  const { link } = store.state;
  return link.server && link.gateway !== "lost";
}

store.subscribe(() => {
  if (waiting.length) next();
});
