/** Verbs of candidates: asking, telling, the loop. */

import type { AskOptions, TellOptions, Values } from "../src/index.js";
import type { Driver } from "./driver.js";
import { modelOf } from "./models.js";
import {
  Arguments,
  fromDouble,
  given,
  type Json,
  nameJson,
  type TensorJson,
  tensorJson,
  tensorOf,
} from "./values.js";

function askOptions(a: Arguments): Omit<AskOptions, "waitMs"> {
  return {
    ...a.options<AskOptions>({ n: "n", dtype: "dtype" }),
    ...given<{ leaseMs: number }>({ leaseMs: a.ms("lease_s") }),
  };
}

async function ask(driver: Driver, a: Arguments): Promise<Json> {
  const stimuli = a.get<boolean>("stimuli") ?? false;
  const waitMs = a.ms("timeout_s") ?? 0;
  const found = await driver.study(a).ask({ ...askOptions(a), stimuli, waitMs });
  return {
    candidate_ids: Array.from(found.ids, String),
    targets: Array.from(found.targets),
    generation: found.generation,
    latents: tensorJson(found.latents),
    stimuli: found.stimuli ? tensorJson(found.stimuli) : null,
    lease_id: found.leaseId,
    lease_s: found.leaseMs / 1000,
    state: nameJson(found.state),
    done: found.done,
    retry_after_s: found.retryAfterMs / 1000,
  };
}

async function tell(driver: Driver, a: Arguments): Promise<Json> {
  const ids = a.need<string[]>("candidate_ids").map(BigInt);
  const table = a.get<TensorJson>("values");
  const values: Values = table
    ? tensorOf(table)
    : a.need<(number | string)[]>("scores").map(fromDouble);
  const told = await driver
    .study(a)
    .tell(ids, values, a.options<TellOptions>({ all_units: "allUnits" }));
  const { accepted, repeated, state, generation, sequence, done } = told;
  return { accepted, repeated, state: nameJson(state), generation, sequence, done };
}

async function renew(driver: Driver, a: Arguments): Promise<Json> {
  const lease = a.need<string>("lease_id");
  const options = given<{ leaseMs: number }>({ leaseMs: a.ms("lease_s") });
  return { held: await driver.study(a).renew(lease, options) };
}

async function askTell(driver: Driver, a: Arguments): Promise<Json> {
  const model = modelOf(new Arguments(a.need("model")), a.get<number>("pause_ms") ?? 0);
  const stimuli = a.get<string>("input") === "stimuli";
  return { ...(await driver.study(a).askTell(model, { ...askOptions(a), stimuli })) };
}

export const verbs = { ask, tell, renew, ask_tell: askTell };
