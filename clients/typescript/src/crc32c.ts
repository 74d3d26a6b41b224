/** CRC-32C (Castagnoli), eight bytes at a time. */

const POLYNOMIAL = 0x82f63b78;
const TABLES = tables();
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

function tables(): Int32Array[] {
  const all = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte += 1) {
    let value = byte;
    for (let bit = 0; bit < 8; bit += 1)
      value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    all[0]![byte] = value;
  }
  for (let byte = 0; byte < 256; byte += 1) {
    for (let level = 1; level < 8; level += 1) {
      const before = all[level - 1]![byte]!;
      all[level]![byte] = (before >>> 8) ^ all[0]![before & 255]!;
    }
  }
  return all;
}

/** The checksum of data, as an unsigned number of 32 bits. */
export function crc32c(data: Uint8Array): number {
  let crc = -1;
  let at = 0;
  const odd = Math.min(-data.byteOffset & 3, data.length);
  for (; at < odd; at += 1) crc = T0[(crc ^ data[at]!) & 255]! ^ (crc >>> 8);
  const words = new Int32Array(data.buffer, data.byteOffset + odd, ((data.length - odd) >> 3) << 1);
  for (let i = 0; i < words.length; i += 2) {
    const low = crc ^ words[i]!;
    const high = words[i + 1]!;
    crc =
      T7[low & 255]! ^
      T6[(low >>> 8) & 255]! ^
      T5[(low >>> 16) & 255]! ^
      T4[low >>> 24]! ^
      T3[high & 255]! ^
      T2[(high >>> 8) & 255]! ^
      T1[(high >>> 16) & 255]! ^
      T0[high >>> 24]!;
  }
  for (at = odd + 4 * words.length; at < data.length; at += 1) {
    crc = T0[(crc ^ data[at]!) & 255]! ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}
