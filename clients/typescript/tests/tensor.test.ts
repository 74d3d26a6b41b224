import assert from "node:assert/strict";
import { test } from "node:test";

import { Joiner, split } from "../src/chunks.js";
import { crc32c } from "../src/crc32c.js";
import { InvalidInput, ShapeMismatch, Tensor } from "../src/index.js";
import { fromMessage, toMessage } from "../src/tensor.js";

test("a tensor shares the numbers it is made of", () => {
  const numbers = new Float32Array([1, 2, 3, 4, 5, 6]);
  const tensor = Tensor.of(numbers, [2, 3]);
  assert.deepEqual([...tensor.row(1)], [4, 5, 6]);
  numbers[3] = 9;
  assert.equal(tensor.row(1)[0], 9);
  assert.deepEqual(tensor.slice(1, 2).shape, [1, 3]);
});

test("bytes at any offset become numbers", () => {
  const wire = new Uint8Array(3 + 16);
  wire.set(new Uint8Array(new Float64Array([0.1, -7]).buffer), 3);
  const tensor = new Tensor("float64", [2], wire.subarray(3));
  assert.deepEqual([...tensor.array], [0.1, -7]);
});

test("float16 becomes float32", () => {
  const halves = new Uint16Array([0x3c00, 0xc000, 0x7bff, 0x0001, 0xfc00, 0x8000]);
  const tensor = new Tensor("float16", [6], new Uint8Array(halves.buffer));
  assert.deepEqual([...tensor.array], [1, -2, 65504, 2 ** -24, -Infinity, -0]);
  assert.ok(Number.isNaN(new Tensor("float16", [], new Uint8Array([1, 0x7e])).array[0]));
});

test("int64 are bigints", () => {
  const tensor = Tensor.of(new BigInt64Array([2n ** 62n, -1n]));
  assert.deepEqual([...fromMessage(toMessage(tensor), "t").array], [2n ** 62n, -1n]);
});

test("bytes that are not those of the shape are refused", () => {
  const mismatch = { name: "ShapeMismatch", field: "tensor" };
  assert.throws(() => new Tensor("float32", [2, 2], new Uint8Array(15)), mismatch);
  assert.throws(() => new Tensor("float32", [-1], new Uint8Array(0)), mismatch);
  assert.throws(() => new Tensor("uint8", [2 ** 40, 2 ** 40], new Uint8Array(0)), mismatch);
  assert.throws(() => fromMessage(undefined, "stimuli"), ShapeMismatch);
});

test("the checksum is CRC-32C, wherever the bytes lie", () => {
  const digits = new TextEncoder().encode("123456789");
  assert.equal(crc32c(digits), 0xe3069283);
  assert.equal(crc32c(new Uint8Array()), 0);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  for (let offset = 0; offset < 9; offset += 1) {
    const moved = new Uint8Array(offset + 9);
    moved.set(digits, offset);
    assert.equal(crc32c(moved.subarray(offset)), 0xe3069283);
  }
});

test("chunks are split and joined, and damage is found", () => {
  const data = Uint8Array.from({ length: 2.5 * 2 ** 20 }, (_, i) => i % 251);
  const chunks = [...split(data)];
  assert.equal(chunks.length, 3);
  const join = (all: typeof chunks, total = data.length, limit = 2 ** 30) => {
    const joiner = new Joiner(total, limit);
    for (const chunk of all) joiner.add(chunk);
    return joiner.result();
  };
  assert.deepEqual(join(chunks), data);
  const damaged = { name: "InvalidInput", field: "chunk" };
  assert.throws(() => join(chunks.slice(0, 2)), damaged);
  assert.throws(() => join([chunks[1]!, chunks[0]!]), damaged);
  assert.throws(() => join(chunks, data.length, 1000), damaged);
  chunks[2]!.crc32c = 1;
  assert.throws(() => join(chunks), InvalidInput);
});
