/** CRC-32C (Castagnoli), sixteen bytes at a time. */

const POLYNOMIAL = 0x82f63b78;
const SLICES = 16;
/** The checksums of each byte, followed by 0 to 15 bytes 0: 256 entries for each. */
const TABLE = table();

function table(): Int32Array {
  const made = new Int32Array(256 * SLICES);
  for (let byte = 0; byte < 256; byte += 1) {
    let value = byte;
    for (let bit = 0; bit < 8; bit += 1) {
      value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    }
    made[byte] = value;
  }
  for (let at = 256; at < made.length; at += 1) {
    const before = made[at - 256]!;
    made[at] = (before >>> 8) ^ made[before & 255]!;
  }
  return made;
}

/** The checksum of data, as an unsigned number of 32 bits. */
export function crc32c(data: Uint8Array): number {
  const odd = Math.min(-data.byteOffset & 3, data.length);
  const blocks = Math.floor((data.length - odd) / SLICES);
  const words = new Int32Array(data.buffer, data.byteOffset + odd, 4 * blocks);
  const end = odd + SLICES * blocks;
  return ~bytes(data, end, data.length, sixteens(words, bytes(data, 0, odd, -1))) >>> 0;
}

function bytes(data: Uint8Array, start: number, stop: number, crc: number): number {
  for (let at = start; at < stop; at += 1) crc = TABLE[(crc ^ data[at]!) & 255]! ^ (crc >>> 8);
  return crc;
}

function sixteens(words: Int32Array, crc: number): number {
  const t = TABLE;
  for (let at = 0; at < words.length; at += 4) {
    const a = crc ^ words[at]!;
    const b = words[at + 1]!;
    const c = words[at + 2]!;
    const d = words[at + 3]!;
    crc =
      t[3840 + (a & 255)]! ^
      t[3584 + ((a >>> 8) & 255)]! ^
      t[3328 + ((a >>> 16) & 255)]! ^
      t[3072 + (a >>> 24)]! ^
      t[2816 + (b & 255)]! ^
      t[2560 + ((b >>> 8) & 255)]! ^
      t[2304 + ((b >>> 16) & 255)]! ^
      t[2048 + (b >>> 24)]! ^
      t[1792 + (c & 255)]! ^
      t[1536 + ((c >>> 8) & 255)]! ^
      t[1280 + ((c >>> 16) & 255)]! ^
      t[1024 + (c >>> 24)]! ^
      t[768 + (d & 255)]! ^
      t[512 + ((d >>> 8) & 255)]! ^
      t[256 + ((d >>> 16) & 255)]! ^
      t[d >>> 24]!;
  }
  return crc;
}
