/** Messages as they are on the wire, with chunks whose data are not copied. */

import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

import { type Chunk, ChunkSchema } from "./gen/blackbox_am/v1/tensor_pb.js";

const DATA = ChunkSchema.field.data.number;
const LENGTH_BYTES = 5;

/** A message, after its length. */
export function frame<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Uint8Array {
  const body = toBinary(schema, message);
  return joined(lengthOf(body.length), body);
}

/**
 * A message with one field, a chunk: all but the chunk's data, after its length, and then these data.
 *
 * @param field number of the field
 */
export function* chunkFrame(field: number, chunk: Chunk): Generator<Uint8Array> {
  const { offset, crc32c, totalSize, data } = chunk;
  const rest = toBinary(
    ChunkSchema,
    create(ChunkSchema, { offset, totalSize, ...(crc32c !== undefined && { crc32c }) }),
  );
  const before = new BinaryWriter()
    .raw(rest)
    .tag(DATA, WireType.LengthDelimited)
    .uint32(data.length);
  const inner = before.finish();
  const outer = new BinaryWriter()
    .tag(field, WireType.LengthDelimited)
    .uint32(inner.length + data.length)
    .raw(inner)
    .finish();
  yield joined(lengthOf(outer.length + data.length), outer);
  yield data;
}

/** The length of a message as gRPC sends it; the first byte says that it is not compressed. */
function lengthOf(bytes: number): Uint8Array {
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(1, bytes);
  return length;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
