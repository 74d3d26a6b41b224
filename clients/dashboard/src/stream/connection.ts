/** A tab's side of the stream: through the shared worker, or by itself where there is none. */

import { address } from "../api/http";
import { BROWSER, type Heard, Hub, type Said, type Wanted } from "./hub";

const ALIVE_MS = 20_000;

export interface Connection {
  want(wanted: Wanted): void;
}

export function connect(tell: (heard: Heard) => void): Connection {
  const path = new URL(address("events"), document.baseURI).href;
  return typeof SharedWorker === "undefined" ? alone(path, tell) : shared(path, tell);
}

function shared(path: string, tell: (heard: Heard) => void): Connection {
  const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), {
    type: "module",
    name: `blackbox_am ${__VERSION__}`, // pages of another version have a worker of their own
  });
  const { port } = worker;
  const say = (said: Said) => port.postMessage(said);
  let wanted: Wanted = {};
  port.onmessage = ({ data }: MessageEvent<Heard>) => tell(data);
  setInterval(() => say({ say: "alive" }), ALIVE_MS);
  addEventListener("pagehide", () => say({ say: "leave" }));
  addEventListener("pageshow", (event) => {
    if (event.persisted) say({ say: "want", wanted, path });
  });
  return {
    want(next) {
      wanted = next;
      say({ say: "want", wanted, path });
    },
  };
}

/** A stream of this tab's own, which a hidden tab gives up: so many tabs do not block each other. */
function alone(path: string, tell: (heard: Heard) => void): Connection {
  const tab = {};
  const hub = new Hub(BROWSER, path);
  let wanted: Wanted = {};
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hub.leave(tab);
    else hub.want(tab, wanted, tell);
  });
  return {
    want(next) {
      wanted = next;
      if (!document.hidden) hub.want(tab, wanted, tell);
    },
  };
}
