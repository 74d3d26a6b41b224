/** The connection to one server, and the way of making a call. */

import {
  type CallOptions,
  type Client as Stub,
  createClient,
  type Transport,
} from "@connectrpc/connect";
import { createNodeHttpClient, Http2SessionManager } from "@connectrpc/connect-node";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { createTransport } from "@connectrpc/connect/protocol-grpc";
import { randomUUID } from "node:crypto";
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";

import { headersOf, secureOptions, type Tls, urlOf } from "./access.js";
import { ServerUnavailable } from "./errors.js";
import { CatalogService } from "./gen/blackbox_am/v1/catalog_service_pb.js";
import { OracleService } from "./gen/blackbox_am/v1/oracle_service_pb.js";
import { StudyService } from "./gen/blackbox_am/v1/study_service_pb.js";
import { Reconnecting } from "./reconnecting.js";
import { Scope } from "./scope.js";
import { type Destination, fromCall } from "./status.js";
import { WINDOW_BYTES, windowSettings } from "./windows.js";

/** Settings of `connect`. */
export interface ConnectOptions {
  /**
   * The secret that says who calls, as `blackbox-am token create` printed it. Without TLS it is sent
   * to an address of this machine only.
   */
  readonly token?: string;
  /** True trusts the public authorities, a file the authorities in it (PEM). */
  readonly tls?: boolean | string | Tls;
  /**
   * Name of this client in leases, such as `rig-2`; no other client may have it at the same time. A
   * program that starts again under its name gets the candidates that it held back at once.
   */
  readonly clientId?: string;
  /** Limit of each call; 30 seconds. Watches have none. */
  readonly timeoutMs?: number;
  /** Longest wait of `ask`, `tell`, `askTell` and `watch` for a server that is away; 60 seconds. */
  readonly reconnectMs?: number;
}

/** What a call may be given. */
export interface Signalled {
  /** Ends the call, which then throws the reason of the signal. */
  readonly signal?: AbortSignal | undefined;
}

const PING_INTERVAL_MS = 30_000;
const PING_TIMEOUT_MS = 10_000;
const CONNECTION_IDLE_MS = 15 * 60_000;
const LARGEST_MESSAGE = 0xffffffff;

/** A connection and its stubs. It connects with the first call, and again after it was lost. */
export class Connection implements Destination {
  readonly encrypted: boolean;
  readonly certificate: boolean;
  readonly timeoutMs: number;
  readonly reconnectMs: number;
  readonly clientId: string;
  /** Changes with each start of the client. */
  readonly sessionId = randomUUID();
  readonly studies: Stub<typeof StudyService>;
  readonly catalog: Stub<typeof CatalogService>;
  readonly oracles: Stub<typeof OracleService>;
  /** The stub for one call, whose requests are `body`: messages as they are on the wire. */
  readonly oraclesWith: (body: AsyncIterable<Uint8Array>) => Stub<typeof OracleService>;
  readonly #sessions: Sessions;
  readonly #headers: Record<string, string>;
  readonly #closing = new AbortController();

  constructor(
    readonly target: string,
    options: ConnectOptions,
  ) {
    const tls = tlsOf(options.tls);
    this.encrypted = tls !== undefined;
    this.certificate = tls?.certificate !== undefined;
    this.timeoutMs = options.timeoutMs ?? 30_000;
    this.reconnectMs = options.reconnectMs ?? 60_000;
    this.clientId = options.clientId ?? "";
    const baseUrl = urlOf(target, this.encrypted);
    this.#headers = options.token ? headersOf(options.token, target, this.encrypted) : {};
    const pings = {
      pingIntervalMs: PING_INTERVAL_MS,
      pingTimeoutMs: PING_TIMEOUT_MS,
      idleConnectionTimeoutMs: CONNECTION_IDLE_MS,
    };
    const settings = { ...windowSettings, ...(tls && secureOptions(tls)) };
    this.#sessions = new Sessions(baseUrl, pings, settings);
    const httpClient = createNodeHttpClient({
      httpVersion: "2",
      sessionProvider: () => this.#sessions,
    });
    const transport = transportOf(baseUrl, httpClient);
    this.studies = createClient(StudyService, transport);
    this.catalog = createClient(CatalogService, transport);
    this.oracles = createClient(OracleService, transport);
    this.oraclesWith = (body) =>
      createClient(
        OracleService,
        transportOf(baseUrl, (request) => httpClient({ ...request, body })),
      );
  }

  /** Makes one call with the time limit of the client. */
  async call<T>(
    send: (options: CallOptions) => Promise<T>,
    { signal }: Signalled = {},
  ): Promise<T> {
    try {
      return await send(this.limited({ signal }));
    } catch (error) {
      throw this.problem(error, signal);
    }
  }

  /** Makes one call, and repeats it while the server is away; only for calls that may be repeated. */
  async persist<T>(
    send: (options: CallOptions) => Promise<T>,
    { signal }: Signalled = {},
  ): Promise<T> {
    const attempts = new Reconnecting(this.reconnectMs, this.#closing.signal);
    for (;;) {
      try {
        return await this.call(send, { signal });
      } catch (error) {
        await attempts.failed(error, signal);
      }
    }
  }

  /** Makes one call whose answer is a stream, which ends with `read`. */
  async stream<T>(
    read: (options: CallOptions) => Promise<T>,
    { signal }: Signalled = {},
  ): Promise<T> {
    const scope = new Scope(signal);
    try {
      return await read(this.limited(scope));
    } catch (error) {
      throw this.problem(error, signal);
    } finally {
      scope.end();
    }
  }

  /** Options of a call with a time limit; `timeoutMs` 0 is none. */
  limited({ signal }: Signalled = {}, timeoutMs = this.timeoutMs): CallOptions {
    signal?.throwIfAborted();
    if (this.closed) throw new ServerUnavailable("the client was closed; connect again");
    return { headers: this.#headers, timeoutMs, ...(signal && { signal }) };
  }

  /** The error for one that a call threw. */
  problem(error: unknown, signal?: AbortSignal): unknown {
    if (this.closed && !signal?.aborted) {
      return new ServerUnavailable("the client was closed; connect again", { cause: error });
    }
    return fromCall(error, this, signal);
  }

  /** Whether the client was closed; `Reconnecting` does not wait then. */
  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Ends when the client is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  close(): void {
    this.#closing.abort(new ServerUnavailable("the client was closed; connect again"));
    this.#sessions.close();
  }
}

function transportOf(baseUrl: string, httpClient: UniversalClientFn): Transport {
  return createTransport({
    baseUrl,
    httpClient,
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: LARGEST_MESSAGE,
    readMaxBytes: LARGEST_MESSAGE,
    writeMaxBytes: LARGEST_MESSAGE,
  });
}

function tlsOf(given: boolean | string | Tls | undefined): Tls | undefined {
  if (given === true) return {};
  if (typeof given === "string") return { ca: given };
  return given || undefined;
}

/** Sessions of HTTP/2 with a window that a large message does not fill. */
class Sessions extends Http2SessionManager {
  #latest: ClientHttp2Session | undefined;

  override async request(
    ...request: Parameters<Http2SessionManager["request"]>
  ): Promise<ClientHttp2Stream> {
    const stream = await super.request(...request);
    const session = stream.session as ClientHttp2Session | undefined;
    if (session && session !== this.#latest) {
      this.#latest = session;
      // The manager listens to one error only; a second one would end the process.
      session.on("error", () => undefined);
      session.setLocalWindowSize(WINDOW_BYTES);
    }
    return stream;
  }

  /** Ends the connection as intended, so that the server does not note an error. */
  close(): void {
    this.#latest?.destroy(undefined, constants.NGHTTP2_NO_ERROR);
    this.abort();
  }
}
