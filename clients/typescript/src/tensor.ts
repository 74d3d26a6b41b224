/** Dense arrays: row-major, little-endian, as they are on the wire. */

import { create } from "@bufbuild/protobuf";

import { ShapeMismatch } from "./errors.js";
import {
  Dtype as WireDtype,
  type Tensor as Message,
  TensorSchema,
} from "./gen/blackbox_am/v1/tensor_pb.js";
import { fromHalf } from "./half.js";

export type Dtype = "float32" | "float64" | "float16" | "uint8" | "int32" | "int64";

/** The array of each dtype. */
export interface ArrayOf {
  float32: Float32Array;
  float64: Float64Array;
  float16: Float32Array;
  uint8: Uint8Array;
  int32: Int32Array;
  int64: BigInt64Array;
}
export type NumberArray = Float32Array | Float64Array | Uint8Array | Int32Array;
export type TypedArray = NumberArray | BigInt64Array;

const BYTES: Record<Dtype, number> = {
  float32: 4,
  float64: 8,
  float16: 2,
  uint8: 1,
  int32: 4,
  int64: 8,
};
const NAMES: ReadonlyMap<WireDtype, Dtype> = new Map(
  (Object.keys(BYTES) as Dtype[]).map((name) => [numberOf(name), name]),
);
const MAX_AXES = 32;

if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1) {
  throw new Error(
    "this client needs a little-endian machine: the bytes of tensors are little-endian",
  );
}

/** The number of a dtype on the wire. */
export function numberOf(dtype: Dtype): WireDtype {
  return WireDtype[dtype.toUpperCase() as keyof typeof WireDtype];
}

/** A dense array. */
export class Tensor<D extends Dtype = Dtype> {
  /** Number of elements. */
  readonly size: number;
  #array: ArrayOf[D] | undefined;

  /** Shares `data`; throws ShapeMismatch if these are not the bytes of the shape. */
  constructor(
    readonly dtype: D,
    readonly shape: readonly number[],
    readonly data: Uint8Array,
    field = "tensor",
  ) {
    this.size = sizeOf(shape, field);
    const expected = this.size * BYTES[dtype];
    if (data.byteLength !== expected) {
      throw new ShapeMismatch(
        `${field}: ${dtype} of shape [${shape}] is ${expected} bytes, got ${data.byteLength}`,
        { field },
      );
    }
  }

  /** A tensor of numbers, which it shares. Without a shape it has one axis. */
  static of(array: Float32Array, shape?: readonly number[]): Tensor<"float32">;
  static of(array: Float64Array, shape?: readonly number[]): Tensor<"float64">;
  static of(array: Uint8Array, shape?: readonly number[]): Tensor<"uint8">;
  static of(array: Int32Array, shape?: readonly number[]): Tensor<"int32">;
  static of(array: BigInt64Array, shape?: readonly number[]): Tensor<"int64">;
  static of(array: TypedArray, shape: readonly number[] = [array.length]): Tensor {
    const data = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    return new Tensor(dtypeOf(array), shape, data);
  }

  /** Length of the first axis; 0 without axes. */
  get rows(): number {
    return this.shape[0] ?? 0;
  }

  /** Number of elements in a row of the first axis. */
  get rowSize(): number {
    return this.shape.slice(1).reduce((product, length) => product * length, 1);
  }

  /**
   * All elements. They share the data where these lie at a multiple of the element's size; float16 is
   * converted to float32.
   */
  get array(): ArrayOf[D] {
    this.#array ??= viewOf(this.dtype, this.data) as ArrayOf[D];
    return this.#array;
  }

  /** The elements of row `index` of the first axis, shared with `array`. */
  row(index: number): ArrayOf[D] {
    const size = this.rowSize;
    return this.array.subarray(index * size, (index + 1) * size) as ArrayOf[D];
  }

  /** Rows from `start` up to `stop`, which share the data. */
  slice(start: number, stop: number): Tensor<D> {
    const size = this.rowSize * BYTES[this.dtype];
    const shape = [stop - start, ...this.shape.slice(1)];
    return new Tensor(this.dtype, shape, this.data.subarray(start * size, stop * size));
  }
}

/** A tensor as a message, which shares its data. */
export function toMessage(tensor: Tensor): Message {
  const message = toHeader(tensor);
  message.data = tensor.data as Message["data"];
  return message;
}

/** Dtype and shape as a message, without data. */
export function toHeader(tensor: Tensor): Message {
  return create(TensorSchema, { dtype: numberOf(tensor.dtype), shape: tensor.shape.map(BigInt) });
}

/** The tensor in a message, whose data it shares. */
export function fromMessage(message: Message | undefined, field: string): Tensor {
  const { dtype, shape } = announced(message, field);
  return new Tensor(dtype, shape, message?.data ?? new Uint8Array(), field);
}

/** What a header says of a tensor. */
export interface Announced {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: number;
}

export function announced(message: Message | undefined, field: string): Announced {
  const dtype = message && NAMES.get(message.dtype);
  if (!dtype) {
    const known = Object.keys(BYTES).join(", ");
    const got = message ? (WireDtype[message.dtype] ?? message.dtype) : "no tensor";
    throw new ShapeMismatch(`${field}: expected a dtype of ${known}, got ${got}`, { field });
  }
  const shape = message.shape.map(Number);
  return { dtype, shape, bytes: sizeOf(shape, field) * BYTES[dtype] };
}

function sizeOf(shape: readonly number[], field: string): number {
  const size = shape.reduce((product, length) => product * length, 1);
  const real = shape.every((length) => Number.isSafeInteger(length) && length >= 0);
  if (!real || !Number.isSafeInteger(8 * size) || shape.length > MAX_AXES) {
    throw new ShapeMismatch(`${field}: no array has the shape [${shape}]`, { field });
  }
  return size;
}

export function dtypeOf(array: TypedArray): Dtype {
  if (array instanceof Float32Array) return "float32";
  if (array instanceof Float64Array) return "float64";
  if (array instanceof Uint8Array) return "uint8";
  if (array instanceof Int32Array) return "int32";
  return "int64";
}

function viewOf(dtype: Dtype, data: Uint8Array): TypedArray {
  if (dtype === "uint8") return data;
  // An array of larger elements cannot begin at any byte.
  const aligned = data.byteOffset % BYTES[dtype] === 0 ? data : data.slice();
  const place = [aligned.buffer, aligned.byteOffset, aligned.byteLength / BYTES[dtype]] as const;
  switch (dtype) {
    case "float32":
      return new Float32Array(...place);
    case "float64":
      return new Float64Array(...place);
    case "int32":
      return new Int32Array(...place);
    case "int64":
      return new BigInt64Array(...place);
    case "float16":
      return Float32Array.from(new Uint16Array(...place), fromHalf);
  }
}
