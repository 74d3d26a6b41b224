/** The model functions of the driver protocol, which measure candidates. */

import { type Model, Tensor } from "../src/index.js";
import { type Arguments, DriverError } from "./values.js";

/** An ordinary error of a model function. */
export class RigError extends Error {}

type Numbers = ArrayLike<number | bigint>;

export function sphere(x: Numbers): number {
  let sum = 0;
  for (let i = 0; i < x.length; i += 1) sum += Number(x[i]) * Number(x[i]);
  return -sum;
}

export function linear(x: Numbers, shift: number): number {
  let sum = 0;
  for (let i = 0; i < x.length; i += 1) sum += (((i + shift) % 7) - 3) * Number(x[i]);
  return sum;
}

function codes(x: Numbers, categories: number): number {
  let count = 0;
  for (let i = 0; i < x.length; i += 1) if (Number(x[i]) === i % categories) count += 1;
  return count;
}

function mean(x: Numbers): number {
  let sum = 0;
  for (let i = 0; i < x.length; i += 1) sum += Number(x[i]);
  return sum / x.length;
}

/** The score of a candidate, whose number counts from 1 over the whole loop. */
type Score = (x: Numbers, number: number) => number;

function scoreOf(name: string, a: Arguments): Score {
  switch (name) {
    case "sphere":
    case "short":
      return sphere;
    case "linear": {
      const shift = a.get<number>("shift") ?? 0;
      return (x) => linear(x, shift);
    }
    case "codes": {
      const categories = a.need<number>("categories");
      return (x) => codes(x, categories);
    }
    case "mean":
      return mean;
    case "nan": {
      const every = a.need<number>("every");
      return (x, number) => (number % every === 0 ? NaN : sphere(x));
    }
    case "throws": {
      const after = a.need<number>("after");
      return (x, number) => {
        if (number > after) throw new RigError("the rig fell over");
        return sphere(x);
      };
    }
    default:
      throw new DriverError(`unknown model "${name}"`);
  }
}

/** The model function of a request, which sleeps for each candidate. */
export function modelOf(a: Arguments, pauseMs: number): Model {
  const name = a.need<string>("name");
  const pause = (rows: number) => new Promise((resolve) => setTimeout(resolve, pauseMs * rows));
  if (name === "units") {
    const units = a.need<number>("units");
    return async (input) => {
      if (pauseMs > 0) await pause(input.rows);
      const table = new Float64Array(input.rows * units);
      table.forEach((_, at) => {
        table[at] = linear(input.row(Math.floor(at / units)), at % units);
      });
      return Tensor.of(table, [input.rows, units]);
    };
  }
  const score = scoreOf(name, a);
  let number = 0;
  return async (input) => {
    if (pauseMs > 0) await pause(input.rows);
    const rows = name === "short" ? input.rows - 1 : input.rows;
    return Array.from({ length: rows }, (_, i) => score(input.row(i), (number += 1)));
  };
}
