/** A tab's side of the stream: through the shared worker, or by itself where there is none. */

import { address } from "../api/http";
import { BROWSER, Hub, type HubMessage, type TabMessage, type Wanted } from "./hub";

/** The worker forgets tabs that do not repeat what they want. */
const REPEAT_MS = 20_000;

export interface Connection {
  want(wanted: Wanted): void;
}

export function connect(tell: (message: HubMessage) => void): Connection {
  const path = new URL(address("events"), document.baseURI).href;
  return typeof SharedWorker === "undefined" ? alone(path, tell) : shared(path, tell);
}

function shared(path: string, tell: (message: HubMessage) => void): Connection {
  const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), {
    type: "module",
    name: `blackbox_am ${__VERSION__}`, // pages of another version have a worker of their own
  });
  const { port } = worker;
  const send = (message: TabMessage) => port.postMessage(message);
  let wanted: Wanted = {};
  const want = () => send({ kind: "want", wanted, path });
  port.onmessage = ({ data }: MessageEvent<HubMessage>) => tell(data);
  setInterval(want, REPEAT_MS);
  addEventListener("pagehide", () => send({ kind: "leave" }));
  addEventListener("pageshow", (event) => event.persisted && want());
  return {
    want(next) {
      wanted = next;
      want();
    },
  };
}

/** A stream of this tab's own, which a hidden tab gives up: so many tabs do not block each other. */
function alone(path: string, tell: (message: HubMessage) => void): Connection {
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
