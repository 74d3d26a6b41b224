/** Verbs of the oracle that the driver serves. */

import * as client from "../src/index.js";
import type { Driver } from "./driver.js";
import { linear, RigError } from "./models.js";
import { type Arguments, DriverError, type Json } from "./values.js";

/** The oracle that the driver serves, and how often it was asked. */
export interface Served {
  readonly server: client.OracleServer;
  readonly counts: { calls: number; rows: number };
}

type Measure = (x: Float32Array, unit: number) => number;

function measureOf(a: Arguments): Measure {
  const name = a.need<string>("model");
  switch (name) {
    case "unit_sums":
      return (x, unit) => (x[0] === 0 ? NaN : linear(x, unit));
    case "first":
      return (x, unit) => x[unit]!;
    case "raises": {
      const kind = a.need<string>("error");
      const found = (client as Record<string, unknown>)[kind] as
        typeof client.BlackboxError | undefined;
      if (!(found?.prototype instanceof client.BlackboxError))
        throw new DriverError(`no class ${kind}`);
      return () => {
        throw new found("no memory for this batch");
      };
    }
    case "throws":
      return () => {
        throw new RigError("the rig fell over");
      };
    default:
      throw new DriverError(`unknown model "${name}"`);
  }
}

async function serve(driver: Driver, a: Arguments): Promise<Json> {
  await driver.served?.server.stop();
  driver.served = undefined;
  const measure = measureOf(a);
  const counts = { calls: 0, rows: 0 };
  const server = await client.serveOracle(
    {
      name: a.need("name"),
      kind: "conformance",
      stimulusShape: a.need("stimulus_shape"),
      layers: [{ name: "out", units: a.need("units") }],
      batchSize: 16,
      fingerprint: "conformance-1",
      observe(stimuli, units) {
        counts.calls += 1;
        counts.rows += stimuli.rows;
        const found = new Float32Array(stimuli.rows * units.length);
        for (let row = 0; row < stimuli.rows; row += 1) {
          const x = stimuli.row(row);
          units.forEach((unit, j) => {
            found[row * units.length + j] = measure(x, unit.index);
          });
        }
        return found;
      },
    },
    { address: `127.0.0.1:${a.get<number>("port") ?? 0}` },
  );
  driver.served = { server, counts };
  return { address: server.address };
}

async function stop(driver: Driver): Promise<Json> {
  if (!driver.served) throw new DriverError("no oracle is served");
  const { server, counts } = driver.served;
  driver.served = undefined;
  await server.stop();
  return { ...counts };
}

export const verbs = { serve_oracle: serve, stop_oracle: stop };
