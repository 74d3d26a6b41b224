/** Serving an oracle. */

import { connectNodeAdapter } from "@connectrpc/connect-node";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";

import { pem } from "./access.js";
import { InvalidInput } from "./errors.js";
import { type Oracle, ServedOracle } from "./oracle.js";
import { routes } from "./oracle_service.js";
import { WINDOW_BYTES, windowSettings } from "./windows.js";

export interface ServeOptions {
  /** `host:port`; a free port where the port is 0. `localhost:50061` without it. */
  readonly address?: string;
  /** Serve encrypted: files in PEM. With `clientCa` clients need a certificate of this authority. */
  readonly tls?: { readonly certificate: string; readonly key: string; readonly clientCa?: string };
}

/** Bytes of one message that a served oracle reads. */
const MAX_MESSAGE_BYTES = 32 * 2 ** 20;
/** Time that calls have to end when the server stops. */
const GRACE_MS = 5000;

/** An oracle that is served. */
export interface OracleServer {
  /** host:port */
  readonly address: string;
  /** Ends when the server has stopped. */
  readonly stopped: Promise<void>;
  /** Stops the server after the calls that it serves, at the latest after 5 seconds. */
  stop(): Promise<void>;
}

/**
 * Serves an oracle: OracleService and grpc.health.v1.Health. A server of blackbox_am searches it as an
 * oracle of the kind `remote`. Throws InvalidInput for an address that cannot be served.
 */
export async function serveOracle(
  oracle: Oracle,
  options: ServeOptions = {},
): Promise<OracleServer> {
  const served = new ServedOracle(oracle);
  const stopping = new AbortController();
  const overdue = new AbortController();
  const handler = connectNodeAdapter({
    routes: (router) => routes(router, served, stopping.signal),
    grpc: true,
    grpcWeb: false,
    connect: false,
    acceptCompression: [],
    readMaxBytes: MAX_MESSAGE_BYTES,
    shutdownSignal: overdue.signal,
  });
  const server = options.tls
    ? http2.createSecureServer({ ...windowSettings, ...secured(options.tls) }, handler)
    : http2.createServer(windowSettings, handler);
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    session.setLocalWindowSize(WINDOW_BYTES);
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => session.destroy()); // the other side has gone
  });
  const address = await listening(server, options.address ?? "localhost:50061");
  const stopped = new Promise<void>((resolve) => server.on("close", resolve));
  return {
    address,
    stopped,
    async stop() {
      stopping.abort();
      server.close();
      for (const session of sessions) session.close();
      const timer = setTimeout(() => {
        overdue.abort();
        for (const session of sessions) session.destroy();
      }, GRACE_MS);
      await stopped;
      clearTimeout(timer);
    },
  };
}

function secured(tls: NonNullable<ServeOptions["tls"]>): http2.SecureServerOptions {
  return {
    cert: pem(tls.certificate, "certificate", "CERTIFICATE"),
    key: pem(tls.key, "key", "PRIVATE KEY"),
    ...(tls.clientCa && {
      ca: pem(tls.clientCa, "clientCa", "CERTIFICATE"),
      requestCert: true,
      rejectUnauthorized: true,
    }),
  };
}

/** Begins to listen; returns host:port. */
function listening(
  server: http2.Http2Server | http2.Http2SecureServer,
  address: string,
): Promise<string> {
  const match = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  if (!match || port > 65535) {
    throw new InvalidInput(`expected an address host:port, got ${JSON.stringify(address)}`, {
      field: "address",
    });
  }
  const host = match[1]!;
  return new Promise((resolve, reject) => {
    const refuse = (cause: Error) =>
      reject(
        new InvalidInput(`cannot serve at ${address}: ${cause.message}`, {
          field: "address",
          cause,
        }),
      );
    server.once("error", refuse);
    server.listen(port, host, () => {
      server.removeListener("error", refuse);
      // Without a listener an error of the socket would end the process.
      server.on("error", (error) => console.error(`serving at ${address}: ${error.message}`));
      const shown = host.includes(":") ? `[${host}]` : host;
      resolve(`${shown}:${(server.address() as AddressInfo).port}`);
    });
  });
}
