import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  Health,
  HealthCheckResponse_ServingStatus as Serving,
} from "../src/gen/grpc/health/v1/health_pb.js";
import { OracleService } from "../src/gen/blackbox_am/v1/oracle_service_pb.js";
import * as bam from "../src/index.js";
import { fromCall } from "../src/status.js";
import { toMessage } from "../src/tensor.js";
import { atEnd, connected, ServerProcess, skip, TINY } from "./server_process.js";

/** Unit j of a stimulus is its sum, j + 1 times. */
const sums: bam.Oracle = {
  name: "sums",
  kind: "test",
  stimulusShape: [3, 4, 4],
  layers: [{ name: "out", units: 3 }],
  batchSize: 8,
  fingerprint: "sums-1",
  observe: (stimuli, units) =>
    Array.from({ length: stimuli.rows }, (_, row) => {
      const sum = stimuli.row(row).reduce((total, x) => total + x, 0);
      return units.map(({ index }) => sum * (index + 1));
    }),
};

async function served(more: Partial<bam.Oracle> = {}) {
  const server = await bam.serveOracle({ ...sums, ...more }, { address: "127.0.0.1:0" });
  atEnd(() => server.stop());
  const transport = createGrpcTransport({ baseUrl: `http://${server.address}` });
  const oracle = createClient(OracleService, transport);
  const observe = async (stimuli: bam.Tensor, units: string[], timeoutMs = 5000) => {
    try {
      return await oracle.observe({ stimuli: toMessage(stimuli), units }, { timeoutMs });
    } catch (error) {
      throw fromCall(error, { target: server.address, encrypted: false, certificate: false });
    }
  };
  return { server, oracle, observe, health: createClient(Health, transport) };
}

const one = bam.Tensor.of(new Float32Array(48).fill(0.5), [1, 3, 4, 4]);

test("a study of a server searches an oracle", { skip }, async () => {
  const oracle = await bam.serveOracle(sums, { address: "127.0.0.1:0" });
  atEnd(() => oracle.stop());
  const remote = `\n[oracles.far]\nkind = "remote"\ntarget = "${oracle.address}"\n`;
  const client = await connected((await ServerProcess.started(TINY + remote)).address);
  const { layers } = await client.describeOracle("far");
  assert.deepEqual([layers[0]?.name, layers[0]?.units], ["out", 3]);
  const stimuli = bam.Tensor.of(new Uint8Array(96), [2, 3, 4, 4]);
  stimuli.data[48] = 255;
  const found = await client.observe("far", stimuli, ["out:0", "out:2"]);
  assert.deepEqual(
    [[...found.array], found.shape],
    [
      [0, 0, 1, 3],
      [2, 2],
    ],
  );
  const study = await client.createStudy({
    targets: ["out:1"],
    generator: "tiny",
    oracle: "far",
    queriesPerTarget: 200,
  });
  assert.equal((await study.wait()).state, "succeeded");
  await assert.rejects(client.observe("far", stimuli, ["out:3"]), bam.UnknownUnit);
});

test("bad requests are refused with their field", async () => {
  const { observe, oracle } = await served();
  await assert.rejects(observe(one, ["out:0", "out:3"]), {
    name: "UnknownUnit",
    field: "units[1]",
  });
  const flat = bam.Tensor.of(new Float32Array(48), [1, 48]);
  await assert.rejects(observe(flat, ["out:0"]), { name: "ShapeMismatch", field: "stimuli" });
  const codes = bam.Tensor.of(new Int32Array(48), [1, 3, 4, 4]);
  await assert.rejects(observe(codes, ["out:0"]), { name: "ShapeMismatch", field: "stimuli" });
  await assert.rejects(oracle.describeOracle({ oracle: "other" }), /no.*"other"/);
});

test("what a model throws or answers wrongly comes to the caller", async () => {
  const throwing = (error: Error) =>
    served({
      observe: () => {
        throw error;
      },
    });
  const memory = await throwing(new bam.OutOfMemory("no memory for this batch"));
  await assert.rejects(memory.observe(one, ["out:0"]), {
    name: "OutOfMemory",
    message: "no memory for this batch",
  });
  const plain = await throwing(new TypeError("x is not a function"));
  await assert.rejects(plain.observe(one, ["out:0"]), {
    name: "OracleFailed",
    message: "the model failed: x is not a function",
  });
  for (const answer of [[[1, 2]], [], new Float32Array(3), undefined, 5]) {
    const wrong = await served({ observe: () => answer as bam.Activations });
    await assert.rejects(wrong.observe(one, ["out:0"]), {
      name: "OracleFailed",
      message: /expected 1 rows of 1 numbers/,
    });
  }
  const nan = await served({ observe: () => [[NaN]] });
  const { activations } = await nan.observe(one, ["out:0"]);
  assert.ok(Number.isNaN(new Float32Array(activations!.data.slice().buffer)[0]));
});

test("the deadline of a caller ends the signal of the model", async () => {
  const ended = deferred();
  const { observe } = await served({
    observe: async (_, __, { signal }) => {
      signal.addEventListener("abort", () => ended.resolve(undefined));
      await sleep(10_000, undefined, { signal, ref: false }).catch(() => undefined);
      return [[1]];
    },
  });
  await assert.rejects(observe(one, ["out:0"], 200), bam.ServerUnavailable);
  await ended.promise;
});

test("a call ends before the server stops", async () => {
  const { server, observe, health } = await served({
    observe: async () => {
      await sleep(300);
      return [[7]];
    },
  });
  assert.equal((await health.check({})).status, Serving.SERVING);
  assert.equal((await health.check({ service: OracleService.typeName })).status, Serving.SERVING);
  await assert.rejects(
    health.check({ service: "other" }),
    (error: ConnectError) => error.code === Code.NotFound,
  );
  const states: Serving[] = [];
  const watching = (async () => {
    for await (const { status } of health.watch({})) states.push(status);
  })();
  const answer = observe(one, ["out:0"]);
  await sleep(100);
  const stopping = server.stop();
  assert.equal((await answer).activations?.shape[0], 1n);
  await stopping;
  await watching;
  assert.deepEqual(states, [Serving.SERVING, Serving.NOT_SERVING]);
  await assert.rejects(observe(one, ["out:0"]), bam.ServerUnavailable);
});

test("descriptions and addresses are checked", async () => {
  const refused = (more: Partial<bam.Oracle>) =>
    assert.rejects(
      bam.serveOracle({ ...sums, ...more }, { address: "127.0.0.1:0" }),
      bam.InvalidSpec,
    );
  await refused({ layers: [] });
  await refused({ layers: [{ name: "out", units: 0 }] });
  await refused({ stimulusShape: [3, -1] });
  await refused({ batchSize: 0.5 });
  const { server } = await served();
  await assert.rejects(bam.serveOracle(sums, { address: server.address }), {
    name: "InvalidInput",
    message: /EADDRINUSE/,
  });
  await assert.rejects(bam.serveOracle(sums, { address: "nowhere" }), bam.InvalidInput);
});

function deferred() {
  let resolve: (value: unknown) => void = () => undefined;
  const promise = new Promise((given) => (resolve = given));
  return { promise, resolve };
}
