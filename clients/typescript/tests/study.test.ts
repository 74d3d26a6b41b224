import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import * as bam from "../src/index.js";
import { connected, ServerProcess, skip } from "./server_process.js";
import { spec, sphere } from "./models.js";

describe("studies of a real server", { skip }, () => {
  let server: ServerProcess;
  let client: bam.Client;

  before(async () => {
    server = await ServerProcess.started();
    client = await connected(server.address, { clientId: "rig" });
  });

  const create = (studyId: string, queries = 60) => client.createStudy(spec(queries), { studyId });

  test("ask and tell until the end", async () => {
    const study = await create("whole");
    const { measured } = await study.askTell(sphere, { n: 7 });
    assert.equal(measured, 60);
    const end = await study.wait();
    assert.deepEqual([end.state, end.stopReason], ["succeeded", "budget"]);
    assert.equal(end.accounting.searchRows, 60);
    const [best] = await study.best();
    assert.equal(best?.latent.size, 4);
    const again = sphere(bam.Tensor.of(best!.latent.array as Float32Array, [1, 4]));
    assert.equal(best!.score, again[0]);
    const listed = await client.studies({ states: ["succeeded"] });
    assert.ok(listed.some(({ studyId }) => studyId === "whole"));
  });

  test("an async model, a plain list of scores, and activations", async () => {
    const study = await create("async");
    await study.askTell(async (latents) => [...sphere(latents)]);
    const several = await client.createStudy(spec(20, { targets: [["a:0", "a:1"]] }), {
      studyId: "several",
    });
    const { measured } = await several.askTell(({ rows }) =>
      bam.Tensor.of(new Float32Array(2 * rows).fill(1), [rows, 2]),
    );
    assert.equal(measured, 20);
  });

  test("an error of the model comes out unchanged, and its candidates come back", async () => {
    const study = await create("throws");
    const fell = new RangeError("the rig fell over");
    const loop = study.askTell(() => {
      throw fell;
    });
    await assert.rejects(loop, (error) => error === fell);
    const rejected = study.askTell(() => Promise.reject(fell));
    const pause = new AbortController();
    setTimeout(() => pause.abort(), 5000);
    await assert.rejects(rejected, (error) => error === fell || pause.signal.aborted);
    const again = await connected(server.address, { clientId: "rig" });
    const held = await again.handle("throws").ask({ waitMs: 0 });
    assert.ok(held.ids.length > 0);
  });

  test("a failed measurement is data", async () => {
    const study = await create("nan", 30);
    const { calls } = await study.askTell(
      (latents) => {
        const scores = sphere(latents);
        scores[0] = NaN;
        return scores;
      },
      { n: 10 },
    );
    const { accounting } = await study.progress();
    assert.deepEqual([calls, accounting.failedRows], [3, 3]);
  });

  test("the wrong number of scores, and what is no number, is refused before anything is sent", async () => {
    const study = await create("short");
    const mismatch = { name: "ShapeMismatch", field: "values" };
    const loop = (model: (rows: number) => unknown) =>
      study.askTell(({ rows }) => model(rows) as number[], { n: 4, leaseMs: 200 });
    await assert.rejects(
      loop((rows) => Array<number>(rows - 1).fill(0)),
      mismatch,
    );
    await assert.rejects(
      loop((rows) => Array(rows).fill("1")),
      mismatch,
    );
    await assert.rejects(
      loop(() => undefined),
      mismatch,
    );
    await assert.rejects(
      loop((rows) => bam.Tensor.of(new Float32Array(rows))),
      mismatch,
    );
    assert.equal((await study.progress()).accounting.searchRows, 0);
  });

  test("typed errors", async () => {
    const study = await create("errors");
    const other = client.createStudy(spec(60, { targets: ["neuron:1"] }), { studyId: "errors" });
    await assert.rejects(other, bam.StudyExists);
    await assert.rejects(client.study("nowhere"), bam.NotFound);
    const bad = client.createStudy(spec(60, { targets: ["neuron:0", "no unit:"] }));
    await assert.rejects(bad, { name: "InvalidInput", field: "spec.targets[1].quantities[0]" });
    const candidates = await study.ask({ n: 3 });
    await study.cancel();
    await assert.rejects(study.tell(candidates, [1, 2, 3]), bam.StudyClosed);
    await assert.rejects(study.renew("no-lease"), bam.NotFound);
  });

  test("a study that ends while the model measures ends the loop", async () => {
    const study = await create("ended", 1000);
    const { calls } = await study.askTell(async (latents) => {
      await study.cancel();
      return sphere(latents);
    });
    assert.equal(calls, 1);
  });

  test("the end of a signal ends each wait; what is measured is still sent", async () => {
    const study = await create("stopped", 1000);
    const stop = new AbortController();
    const reason = new Error("enough");
    const loop = study.askTell(
      (latents) => {
        stop.abort(reason);
        return sphere(latents);
      },
      { signal: stop.signal },
    );
    await assert.rejects(loop, (error) => error === reason);
    const { accounting, population } = await study.progress();
    assert.equal(accounting.searchRows, population);
    await study.pause();
    const waits = [
      (signal: AbortSignal) => study.ask({ signal }),
      (signal: AbortSignal) => study.askTell(sphere, { signal }),
      async (signal: AbortSignal) => {
        for await (const _ of study.watch({ signal }));
      },
    ];
    for (const wait of waits) {
      await assert.rejects(wait(AbortSignal.timeout(300)), { name: "TimeoutError" });
    }
    await study.resume();
    assert.match((await study.wait({ timeoutMs: 200 })).state, /running|pending/);
    await assert.rejects(study.wait({ signal: AbortSignal.timeout(200) }), {
      name: "TimeoutError",
    });
  });

  test("a loop over events can be left, and a watch ends with its study", async () => {
    const study = await create("watched", 20);
    for await (const event of study.watch()) {
      assert.deepEqual([event.kind, event.sequence], ["created", 1]);
      break;
    }
    await study.askTell(sphere);
    const kinds = [];
    for await (const { kind } of study.watch({ afterSequence: 1 })) kinds.push(kind);
    assert.equal(kinds.at(-1), "stateChanged");
    await study.delete();
    await assert.rejects(study.watch().next(), bam.NotFound);
  });

  test("artifacts, and a tensor in chunks", async () => {
    const data = Uint8Array.from({ length: 3 * 2 ** 20 + 5 }, (_, i) => i % 253);
    const digest = await client.writeArtifact(data);
    assert.deepEqual(await client.readArtifact(digest), data);
    assert.equal(
      (await client.readArtifact(await client.writeArtifact(new Uint8Array()))).length,
      0,
    );
    const latents = await client.sample("tiny", 9000, { seed: 3 });
    assert.deepEqual(latents.shape, [9000, 48]);
  });

  test("a message above the server's limit is MessageTooLarge", async () => {
    const latents = bam.Tensor.of(new Float32Array(48 * 200_000), [200_000, 48]);
    await assert.rejects(client.render("tiny", latents), (error: Error) => {
      assert.ok(error instanceof bam.MessageTooLarge, String(error));
      assert.match(error.message, /fewer rows/);
      return true;
    });
    assert.equal((await client.serverInfo()).device, "cpu");
  });

  test("more measurements than one message holds are sent in pieces", async () => {
    const study = await client.createStudy(
      spec(10, { parameters: { population: 10 }, optimizer: "random", targets: [["a:0", "a:1"]] }),
    );
    const candidates = await study.ask();
    const table = bam.Tensor.of(new Float64Array(20).fill(1), [10, 2]);
    const wide = bam.Tensor.of(new Float64Array(10 * 100_000), [10, 100_000]);
    await assert.rejects(study.tell(candidates, wide), bam.InvalidInput);
    const { accepted, done } = await study.tell(candidates, table);
    assert.deepEqual([accepted, done], [10, true]);
  });

  test("a closed client says so", async () => {
    const closing = await bam.connect(server.address);
    const watch = closing.handle("whole").watch();
    closing.close();
    await assert.rejects(closing.serverInfo(), /closed/);
    await assert.rejects(watch.next(), bam.ServerUnavailable);
  });
});
