/** Verbs of the connection, the catalogue and artifacts. */

import {
  type BestOptions,
  connect,
  type ConnectOptions,
  messages,
  type Tls,
} from "../src/index.js";
import type { Driver } from "./driver.js";
import {
  type Arguments,
  base64,
  given,
  type Json,
  type TensorJson,
  tensorJson,
  tensorOf,
} from "./values.js";

type Verb = (driver: Driver, a: Arguments) => Promise<Json>;

function tlsOf(a: Arguments): boolean | Tls | undefined {
  const tls = a.get<boolean | Record<string, string | null>>("tls");
  if (tls === undefined || typeof tls === "boolean") return tls;
  return Object.fromEntries(Object.entries(tls).filter(([, file]) => file !== null));
}

async function connected(driver: Driver, a: Arguments): Promise<Json> {
  driver.disconnect();
  const options = {
    ...a.options<ConnectOptions>({ token: "token", client_id: "clientId" }),
    ...given<ConnectOptions>({ tls: tlsOf(a), timeoutMs: a.ms("timeout_s") }),
  };
  driver.connected(await connect(a.need("target"), options));
  return {};
}

async function describeOracle(driver: Driver, a: Arguments): Promise<Json> {
  const found = await driver.client.describeOracle(a.need("oracle"));
  return {
    kind: found.kind,
    deterministic: found.deterministic,
    stimulus_shape: found.stimulusShape,
    capabilities: found.capabilities.map((capability) => messages.Capability[capability]),
    batch_size: found.batchSize,
    fingerprint: found.fingerprint,
    layers: found.layers.map(({ name, kind, shape, axes, units }) => ({
      name,
      kind,
      shape,
      axes,
      units,
    })),
  };
}

async function serverInfo(driver: Driver): Promise<Json> {
  const info = await driver.client.serverInfo();
  return {
    version: info.version,
    api_version: info.apiVersion,
    device: info.device,
    features: info.features,
    max_message_bytes: info.maxMessageBytes,
    max_page_size: info.maxPageSize,
  };
}

async function sample(driver: Driver, a: Arguments): Promise<Json> {
  const seed = a.get<string>("seed");
  const options = seed === undefined ? {} : { seed: BigInt(seed) };
  return {
    latents: tensorJson(await driver.client.sample(a.need("generator"), a.need("count"), options)),
  };
}

async function render(driver: Driver, a: Arguments): Promise<Json> {
  const latents = tensorOf(a.need<TensorJson>("latents"));
  const found = await driver.client.render(
    a.need("generator"),
    latents,
    a.options<BestOptions>({ dtype: "dtype" }),
  );
  return { stimuli: tensorJson(found) };
}

async function observe(driver: Driver, a: Arguments): Promise<Json> {
  const stimuli = tensorOf(a.need<TensorJson>("stimuli"));
  const found = await driver.client.observe(a.need("oracle"), stimuli, a.need("units"));
  return { activations: tensorJson(found) };
}

export const verbs: Record<string, Verb> = {
  connect: connected,
  close: async (driver) => {
    driver.disconnect();
    return {};
  },
  server_info: serverInfo,
  list_oracles: async (driver) => ({
    names: (await driver.client.oracles()).map((one) => one.name),
  }),
  list_generators: async (driver) => ({
    names: (await driver.client.generators()).map((one) => one.name),
  }),
  list_optimizers: async (driver) => ({
    names: (await driver.client.optimizers()).map((one) => one.plugIn?.name),
  }),
  list_units: async (driver, a) => ({
    units: await driver.client.units(a.need("oracle"), a.get("layer")),
  }),
  sample,
  render,
  observe,
  describe_oracle: describeOracle,
  write_artifact: async (driver, a) => ({
    digest: await driver.client.writeArtifact(Buffer.from(a.need<string>("data"), "base64")),
  }),
  read_artifact: async (driver, a) => ({
    data: base64(await driver.client.readArtifact(a.need("digest"))),
  }),
};
