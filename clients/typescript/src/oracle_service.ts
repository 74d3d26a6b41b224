/** A served oracle on the wire: OracleService, and grpc.health.v1.Health. */

import { create } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";

import { joined, split } from "./chunks.js";
import { NotFound } from "./errors.js";
import {
  type ObserveRequest,
  OracleService,
  type ObserveStreamRequest,
  type ObserveStreamResponse,
  ObserveStreamResponseSchema,
} from "./gen/blackbox_am/v1/oracle_service_pb.js";
import {
  Health,
  HealthCheckResponse_ServingStatus as Serving,
} from "./gen/grpc/health/v1/health_pb.js";
import type { ServedOracle } from "./oracle.js";
import { toAnswer } from "./sending.js";
import { fromMessage, toHeader, toMessage } from "./tensor.js";
import { type OracleUnit, unitsOf } from "./units.js";

/** The longest value that is read in chunks. */
const MAX_STREAM_BYTES = 2 ** 29;

/** Adds both services to a router. */
export function routes(router: ConnectRouter, oracle: ServedOracle, stopping: AbortSignal): void {
  router.service(OracleService, oracleService(oracle));
  router.service(Health, health(stopping));
}

function oracleService(oracle: ServedOracle): ServiceImpl<typeof OracleService> {
  return {
    describeOracle: (request) =>
      answered(() => {
        checkName(oracle, request.oracle);
        return oracle.description();
      }),
    observe: (request, { signal }) =>
      answered(async () => {
        const units = asked(oracle, request);
        const stimuli = fromMessage(request.stimuli, "stimuli");
        oracle.check(stimuli);
        const found = await oracle.activations(stimuli, units, Math.max(stimuli.rows, 1), signal);
        return { activations: toMessage(found) };
      }),
    observeStream: (requests, context) => observeStream(oracle, requests, context),
  };
}

async function* observeStream(
  oracle: ServedOracle,
  requests: AsyncIterable<ObserveStreamRequest>,
  { signal }: HandlerContext,
): AsyncGenerator<ObserveStreamResponse> {
  const found = await answered(async () => {
    let units: OracleUnit[] = [];
    const header = (request: ObserveRequest) => {
      units = asked(oracle, request);
      return request.stimuli;
    };
    const check = (announced: Parameters<ServedOracle["check"]>[0]) => oracle.check(announced);
    const stimuli = await joined(requests, "stimuli", header, MAX_STREAM_BYTES, check);
    return oracle.activations(stimuli, units, oracle.batchSize, signal);
  });
  const value = { activations: toHeader(found) };
  yield create(ObserveStreamResponseSchema, { part: { case: "header", value } });
  for (const chunk of split(found.data)) {
    yield create(ObserveStreamResponseSchema, { part: { case: "chunk", value: chunk } });
  }
}

async function answered<T>(answer: () => T | Promise<T>): Promise<T> {
  try {
    return await answer();
  } catch (error) {
    throw toAnswer(error);
  }
}

function checkName(oracle: ServedOracle, name: string): void {
  if (name !== "" && name !== oracle.name) {
    throw new NotFound(
      `this server has the oracle ${JSON.stringify(oracle.name)}, and none with the name ` +
        JSON.stringify(name),
      { field: "oracle" },
    );
  }
}

/** The units that a request asks for; checks the oracle's name. */
function asked(oracle: ServedOracle, request: ObserveRequest): OracleUnit[] {
  checkName(oracle, request.oracle);
  return unitsOf(oracle.layers, request.units);
}

function health(stopping: AbortSignal): ServiceImpl<typeof Health> {
  const known = new Set(["", OracleService.typeName]);
  const status = () => (stopping.aborted ? Serving.NOT_SERVING : Serving.SERVING);
  return {
    check({ service }) {
      if (!known.has(service)) throw new ConnectError(`no service ${service}`, Code.NotFound);
      return { status: status() };
    },
    async *watch({ service }, { signal }) {
      yield { status: known.has(service) ? status() : Serving.SERVICE_UNKNOWN };
      await ended(signal, stopping);
      if (known.has(service) && !signal.aborted) yield { status: status() };
    },
    list: () => ({
      statuses: Object.fromEntries([...known].map((name) => [name, { status: status() }])),
    }),
  };
}

/** Waits until one of the signals has ended. */
function ended(...signals: AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      for (const signal of signals) signal.removeEventListener("abort", end);
      resolve();
    };
    for (const signal of signals) {
      if (signal.aborted) return end();
      signal.addEventListener("abort", end);
    }
  });
}
