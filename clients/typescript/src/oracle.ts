/** A model in this language that studies of a server search. */

import { create } from "@bufbuild/protobuf";

import { InvalidSpec, OracleFailed, ShapeMismatch } from "./errors.js";
import {
  Capability,
  type DescribeOracleResponse,
  DescribeOracleResponseSchema,
} from "./gen/blackbox_am/v1/oracle_service_pb.js";
import { type Announced, Tensor } from "./tensor.js";
import type { OracleLayer, OracleUnit } from "./units.js";

/** Stimuli with values from 0 to 1. */
export interface Stimuli {
  /** Number of stimuli, and shape of one. */
  readonly rows: number;
  readonly shape: readonly number[];
  /** (rows, *shape), row-major. */
  readonly values: Float32Array;
  /** The values of one stimulus, shared. */
  row(index: number): Float32Array;
}

/** The call for which an oracle observes. */
export interface ObserveContext {
  /** Ends when the caller has gone, at its deadline, and when the server stops. */
  readonly signal: AbortSignal;
}

/**
 * Activations: one row for each stimulus, with one number for each unit; NaN where a measurement
 * failed. A flat Float32Array has the rows one after another.
 */
export type Activations = Float32Array | readonly ArrayLike<number>[];

export type Observe = (
  stimuli: Stimuli,
  units: readonly OracleUnit[],
  context: ObserveContext,
) => Activations | Promise<Activations>;

/** A model as an oracle. */
export interface Oracle {
  /** Name on the wire; a request without a name means this oracle, too. */
  readonly name?: string;
  /** Kind of the model, in a word. */
  readonly kind?: string;
  readonly stimulusShape: readonly number[];
  readonly layers: readonly OracleLayer[];
  /** Whether the same stimuli can give different activations. */
  readonly noisy?: boolean;
  /** Rows that one call of `observe` serves best, and the most of a call for a stream; 64. */
  readonly batchSize?: number;
  /** Changes whenever the model changes; without one studies cannot tell two models apart. */
  readonly fingerprint?: string;
  /**
   * Measures stimuli. It may be async, and called again before it has answered. An error of this
   * client comes to the caller as the same error, any other as OracleFailed.
   */
  readonly observe: Observe;
}

const BATCH_SIZE = 64;

/** A description that was checked. */
export class ServedOracle {
  readonly name: string;
  readonly layers: readonly OracleLayer[];
  readonly batchSize: number;

  constructor(private readonly oracle: Oracle) {
    this.name = oracle.name ?? "";
    this.layers = oracle.layers;
    this.batchSize = oracle.batchSize ?? BATCH_SIZE;
    const positive = (length: number) => Number.isInteger(length) && length > 0;
    for (const { name, units } of oracle.layers) {
      if (!name || !positive(units)) {
        throw new InvalidSpec(
          `layers: expected a name and a whole number of units, got ${JSON.stringify({ name, units })}`,
          { field: "layers" },
        );
      }
    }
    if (
      oracle.layers.length === 0 ||
      !oracle.stimulusShape.every(positive) ||
      !positive(this.batchSize)
    ) {
      throw new InvalidSpec(
        "oracle: expected at least one layer, a stimulusShape and a batchSize of whole numbers above 0",
        { field: "oracle" },
      );
    }
  }

  description(): DescribeOracleResponse {
    const { kind = "", noisy = false, fingerprint = "", stimulusShape } = this.oracle;
    return create(DescribeOracleResponseSchema, {
      oracle: this.name,
      kind,
      capabilities: [Capability.SCORES, Capability.UNITS],
      deterministic: !noisy,
      stimulusShape: [...stimulusShape],
      layers: this.layers.map((layer) => ({
        name: layer.name,
        kind: layer.kind ?? "scores",
        shape: [layer.units],
        axes: ["unit"],
        units: layer.units,
        labels: [...(layer.labels ?? [])],
      })),
      batchSize: this.batchSize,
      fingerprint,
    });
  }

  /** Throws ShapeMismatch for stimuli of another shape, or of a dtype that stimuli do not have. */
  check({ dtype, shape }: Pick<Announced, "dtype" | "shape">): void {
    const [, ...one] = shape;
    const expected = this.oracle.stimulusShape;
    const fits = shape.length > 0 && one.length === expected.length;
    const same = fits && one.every((length, axis) => length === expected[axis]);
    if (!same || !["float32", "float64", "uint8"].includes(dtype)) {
      throw new ShapeMismatch(
        `stimuli: expected float32, float64 or uint8 of the shape [N,${expected}], got ${dtype} of ` +
          `the shape [${shape}]`,
        { field: "stimuli" },
      );
    }
  }

  /** (N, U), measured with at most `batch` rows at a time. */
  async activations(
    stimuli: Tensor,
    units: readonly OracleUnit[],
    batch: number,
    signal: AbortSignal,
  ): Promise<Tensor> {
    const rows = stimuli.rows;
    const found = new Float32Array(rows * units.length);
    for (let start = 0; start < rows; start += batch) {
      signal.throwIfAborted();
      const piece = stimuli.slice(start, Math.min(start + batch, rows));
      const answer = await this.oracle.observe(stimuliOf(piece), units, { signal });
      copy(answer, found.subarray(start * units.length), piece.rows, units.length);
    }
    return Tensor.of(found, [rows, units.length]);
  }
}

/** Stimuli as float32; uint8 from 0..255 to 0..1. */
function stimuliOf(tensor: Tensor): Stimuli {
  const array = tensor.array;
  let values: Float32Array;
  if (array instanceof Float32Array) values = array;
  else {
    values = Float32Array.from(array as Float64Array | Uint8Array);
    if (tensor.dtype === "uint8") for (let i = 0; i < values.length; i += 1) values[i]! /= 255;
  }
  const size = tensor.rowSize;
  return {
    rows: tensor.rows,
    shape: tensor.shape.slice(1),
    values,
    row: (index) => values.subarray(index * size, (index + 1) * size),
  };
}

/** Copies the answer of a model; throws OracleFailed if this is not (rows, units). */
function copy(answer: Activations, to: Float32Array, rows: number, units: number): void {
  if (answer instanceof Float32Array && answer.length === rows * units) {
    to.set(answer);
    return;
  }
  if (Array.isArray(answer) && answer.length === rows) {
    if (answer.every((row: ArrayLike<number>) => row?.length === units)) {
      answer.forEach((row: ArrayLike<number>, index) => to.set(row, index * units));
      return;
    }
  }
  throw new OracleFailed(
    `the model returned ${inWords(answer)}; expected ${rows} rows of ${units} numbers`,
  );
}

function inWords(answer: unknown): string {
  if (answer instanceof Float32Array) return `${answer.length} numbers`;
  if (!Array.isArray(answer)) return answer === null ? "null" : typeof answer;
  const lengths = new Set(answer.map((row: ArrayLike<number> | undefined) => row?.length));
  return `${answer.length} rows of ${lengths.size === 1 ? [...lengths][0] : "different numbers of"} numbers`;
}
