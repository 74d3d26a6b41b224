/** Activations for the caller's own stimuli. */

import { create } from "@bufbuild/protobuf";

import { joined, split } from "./chunks.js";
import { chunkFrame, frame } from "./frames.js";
import type { Connection, Signalled } from "./connection.js";
import { ServerFailed } from "./errors.js";
import {
  type ObserveRequest,
  ObserveRequestSchema,
  ObserveStreamRequestSchema,
} from "./gen/blackbox_am/v1/oracle_service_pb.js";
import { SEND_BYTES } from "./telling.js";
import { type Dtype, fromMessage, Tensor, toHeader, toMessage } from "./tensor.js";

export async function observe(
  connection: Connection,
  oracle: string,
  stimuli: Tensor,
  units: readonly string[],
  options: Signalled,
): Promise<Tensor> {
  const rows = stimuli.rows;
  if (rows === 0) return Tensor.of(new Float32Array(), [0, units.length]);
  const fitting = Math.floor(SEND_BYTES / Math.max(stimuli.data.length / rows, 1));
  const step = Math.max(fitting, 1);
  const pieces: Tensor[] = [];
  for (let start = 0; start < rows; start += step) {
    const piece = stimuli.slice(start, Math.min(start + step, rows));
    const request = create(ObserveRequestSchema, { oracle, units: [...units] });
    pieces.push(
      fitting > 0
        ? await observeAtOnce(connection, request, piece, options)
        : await observeStream(connection, request, piece, options),
    );
  }
  return concatenated(pieces);
}

async function observeAtOnce(
  connection: Connection,
  request: ObserveRequest,
  stimuli: Tensor,
  options: Signalled,
): Promise<Tensor> {
  request.stimuli = toMessage(stimuli);
  const answer = await connection.call(
    (call) => connection.oracles.observe(request, call),
    options,
  );
  return fromMessage(answer.activations, "activations");
}

async function observeStream(
  connection: Connection,
  request: ObserveRequest,
  stimuli: Tensor,
  options: Signalled,
): Promise<Tensor> {
  request.stimuli = toHeader(stimuli);
  return connection.stream(
    (call) =>
      joined(
        connection.oraclesWith(parts(request, stimuli.data)).observeStream(nothing(), call),
        "activations",
        (header) => header.activations,
      ),
    options,
  );
}

/** The requests of a stream: a header, then the data in chunks. */
async function* parts(header: ObserveRequest, data: Uint8Array): AsyncGenerator<Uint8Array> {
  const part = { case: "header" as const, value: header };
  yield frame(ObserveStreamRequestSchema, create(ObserveStreamRequestSchema, { part }));
  const chunks = split(data);
  // The checksum of a chunk is computed while the one before it is on its way.
  let coming = Promise.resolve(chunks.next());
  for (;;) {
    const { value: chunk, done } = await coming;
    if (done) return;
    coming = new Promise((resolve) => setImmediate(() => resolve(chunks.next())));
    yield* chunkFrame(ObserveStreamRequestSchema.field.chunk.number, chunk);
  }
}

/** Connect's own requests of a call that has a body. */
async function* nothing(): AsyncGenerator<never> {}

function concatenated(pieces: readonly Tensor[]): Tensor {
  const [first, ...others] = pieces as [Tensor, ...Tensor[]];
  if (others.length === 0) return first;
  const units = first.shape[1];
  if (pieces.some((piece) => piece.dtype !== first.dtype || piece.shape[1] !== units)) {
    throw new ServerFailed(
      "the server answered parts of one batch with different dtypes or shapes",
    );
  }
  const data = new Uint8Array(pieces.reduce((bytes, piece) => bytes + piece.data.length, 0));
  let [at, rows] = [0, 0];
  for (const piece of pieces) {
    data.set(piece.data, at);
    at += piece.data.length;
    rows += piece.rows;
  }
  return new Tensor<Dtype>(first.dtype, [rows, ...first.shape.slice(1)], data, "activations");
}
