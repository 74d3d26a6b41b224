/** The shared worker: holds the one stream of all tabs. */

import { BROWSER, Hub, type HubMessage, type TabMessage } from "./hub";

let hub: Hub | null = null;

(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = ({ ports }) => {
  const port = ports[0] as MessagePort;
  const tell = (message: HubMessage) => port.postMessage(message);
  port.onmessage = ({ data }: MessageEvent<TabMessage>) => {
    if (data.kind === "leave") return hub?.leave(port);
    hub ??= new Hub(BROWSER, data.path);
    hub.want(port, data.wanted, tell);
  };
};
