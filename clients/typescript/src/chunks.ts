/** Long values in chunks: splitting them, and joining them with every check. */

import { create } from "@bufbuild/protobuf";

import { InvalidInput } from "./errors.js";
import { type Chunk, ChunkSchema, type Tensor as Message } from "./gen/blackbox_am/v1/tensor_pb.js";
import { crc32c } from "./crc32c.js";
import { type Announced, announced, Tensor } from "./tensor.js";

const CHUNK_BYTES = 2 ** 20;
/** The longest value that is joined, by default. */
export const MAX_ANSWER_BYTES = 2 ** 32;
const FIRST_ALLOCATION = 2 ** 26;

/** Data in chunks with checksums; no chunk without data. */
export function* split(data: Uint8Array): Generator<Chunk> {
  const totalSize = BigInt(data.length);
  for (let start = 0; start < data.length; start += CHUNK_BYTES) {
    const piece = data.subarray(start, start + CHUNK_BYTES) as Chunk["data"];
    yield create(ChunkSchema, {
      offset: BigInt(start),
      data: piece,
      crc32c: crc32c(piece),
      totalSize,
    });
  }
}

const damaged = (message: string) => new InvalidInput(message, { field: "chunk" });

/** Joins chunks that come in order. */
export class Joiner {
  #data: Uint8Array;
  #end = 0;

  constructor(
    private readonly total: number,
    limit: number,
  ) {
    if (total > limit) {
      throw damaged(
        `a stream of ${total} bytes is announced, at most ${limit} are taken; send fewer rows at a time`,
      );
    }
    // A wrong announcement must not take memory that its data never fill.
    this.#data = new Uint8Array(Math.min(total, FIRST_ALLOCATION));
  }

  add(chunk: Chunk): void {
    const { offset, data, totalSize } = chunk;
    const end = this.#end + data.length;
    if (offset !== BigInt(this.#end) || totalSize !== BigInt(this.total)) {
      throw damaged(
        `expected the chunk at offset ${this.#end} of ${this.total} bytes, got offset ${offset} of ` +
          `${totalSize}; send the chunks in order`,
      );
    }
    if (end > this.total)
      throw damaged(`the chunks hold more than the ${this.total} bytes announced`);
    if (chunk.crc32c !== undefined && crc32c(data) !== chunk.crc32c) {
      throw damaged(
        `the chunk at offset ${offset} is damaged: its crc32c does not match; send it again`,
      );
    }
    if (end > this.#data.length) this.#grow(end);
    this.#data.set(data, this.#end);
    this.#end = end;
  }

  result(): Uint8Array {
    if (this.#end !== this.total) {
      throw damaged(`the stream ended after ${this.#end} of ${this.total} bytes`);
    }
    return this.#data;
  }

  #grow(least: number): void {
    const larger = new Uint8Array(Math.min(this.total, Math.max(least, 2 * this.#data.length)));
    larger.set(this.#data);
    this.#data = larger;
  }
}

/** A part of a stream with a tensor. */
export interface Part<Header> {
  readonly part:
    | { case: "header"; value: Header }
    | { case: "chunk"; value: Chunk }
    | { case: undefined; value?: undefined };
}

/**
 * The tensor of a stream: a header, then chunks.
 *
 * @param tensorOf the tensor in the header, without data
 * @param check called with what the header announces, before any chunk is read
 */
export async function joined<Header>(
  parts: AsyncIterable<Part<Header>>,
  field: string,
  tensorOf: (header: Header) => Message | undefined,
  limit = MAX_ANSWER_BYTES,
  check: (header: Announced) => void = () => undefined,
): Promise<Tensor> {
  let header: Announced | undefined;
  let chunks: Joiner | undefined;
  for await (const { part } of parts) {
    if (part.case === "header" && !header) {
      header = announced(tensorOf(part.value), field);
      check(header);
      chunks = new Joiner(header.bytes, limit);
    } else if (part.case === "chunk" && chunks) {
      chunks.add(part.value);
    } else {
      throw new InvalidInput(`expected a header first, then chunks, in the stream with ${field}`);
    }
  }
  if (!header || !chunks) {
    throw new InvalidInput(`the stream with ${field} held no header; send the header, then chunks`);
  }
  return new Tensor(header.dtype, header.shape, chunks.result(), field);
}
