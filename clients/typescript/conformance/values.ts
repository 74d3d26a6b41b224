/** Values of the driver protocol in JSON. */

import { BlackboxError, type Dtype, Tensor } from "../src/index.js";
import { RigError } from "./models.js";

export type Json = Record<string, unknown>;

/** A request that the driver does not understand. */
export class DriverError extends Error {}

/** The arguments of a request. Missing and null are the same. */
export class Arguments {
  constructor(private readonly plain: Json) {}

  get<T>(name: string): T | undefined {
    return (this.plain[name] ?? undefined) as T | undefined;
  }

  need<T>(name: string): T {
    const value = this.get<T>(name);
    if (value === undefined) throw new DriverError(`the argument "${name}" is missing`);
    return value;
  }

  /** Those of the arguments that are there, for options of the client. */
  options<T>(names: Readonly<Record<string, keyof T>>): T {
    const given = Object.entries(names).map(([from, to]) => [to, this.get(from)]);
    return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as T;
  }

  /** Seconds as milliseconds. */
  ms(name: string): number | undefined {
    const seconds = this.get<number>(name);
    return seconds === undefined ? undefined : 1000 * seconds;
  }
}

/** Leaves out what is undefined. */
export function given<T extends object>(options: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as T;
}

export const double = (value: number): number | string =>
  Number.isFinite(value) ? value : String(value);

export const fromDouble = (value: number | string): number => Number(value);

export interface TensorJson {
  dtype: Dtype;
  shape: number[];
  data: string;
}

export const tensorJson = ({ dtype, shape, data }: Tensor): TensorJson => ({
  dtype,
  shape: [...shape],
  data: base64(data),
});

export const tensorOf = ({ dtype, shape, data }: TensorJson): Tensor =>
  new Tensor(dtype, shape, Buffer.from(data, "base64"));

export const base64 = (data: Uint8Array): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");

/** A state or stop reason. */
export const nameJson = (name: string): string =>
  name === "unspecified" ? "" : name.toUpperCase();

export function errorJson(error: unknown): Json {
  const plain = { kind: "Driver", reason: "", field: "", retry_after_s: null as number | null };
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof BlackboxError) {
    const { name: kind, reason, field, retryAfterMs } = error;
    return {
      kind,
      reason,
      field,
      message,
      retry_after_s: retryAfterMs === undefined ? null : retryAfterMs / 1000,
    };
  }
  if (error instanceof RigError) return { ...plain, kind: "Model", message };
  return {
    ...plain,
    message:
      error instanceof DriverError ? message : `${error instanceof Error ? error.stack : message}`,
  };
}
