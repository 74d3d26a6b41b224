/** The shared worker: holds the one stream of all tabs. */

import { BROWSER, type Heard, Hub, type Said } from "./hub";

let hub: Hub | null = null;

(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = ({ ports }) => {
  const port = ports[0] as MessagePort;
  const tell = (heard: Heard) => port.postMessage(heard);
  port.onmessage = ({ data: said }: MessageEvent<Said>) => {
    if (said.say === "want") {
      hub ??= new Hub(BROWSER, said.path);
      hub.want(port, said.wanted, tell);
    } else if (said.say === "alive") hub?.alive(port);
    else hub?.leave(port);
  };
};
