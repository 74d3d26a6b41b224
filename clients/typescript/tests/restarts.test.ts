import assert from "node:assert/strict";
import { test } from "node:test";

import * as bam from "../src/index.js";
import { connected, ServerProcess, skip } from "./server_process.js";
import { spec, sphere } from "./models.js";

/** Generous, for loaded machines; `blackbox-am bench clients` measures the time. */
const BACK_MS = 15_000;

test("the loop and the watch survive a killed server", { skip }, async () => {
  const server = await ServerProcess.started();
  const client = await connected(server.address, { clientId: "rig" });
  const study = await client.createStudy(spec(400), { studyId: "killed" });
  const sequences: number[] = [];
  const watched = (async () => {
    for await (const { sequence } of study.watch()) sequences.push(sequence);
  })();
  let calls = 0;
  let restarted: Promise<void> | undefined;
  const looped = study.askTell(
    async (latents) => {
      calls += 1;
      if (calls === 20) {
        await server.kill();
        restarted = server.start();
      }
      return sphere(latents);
    },
    { n: 5 },
  );
  const [{ measured }] = await Promise.all([looped, watched]);
  await restarted;
  assert.ok(measured >= 400);
  assert.ok(restarted);
  assert.deepEqual(
    sequences,
    sequences.map((_, i) => i + 1),
  );
  assert.equal((await study.progress()).accounting.searchRows, 400);
});

test("after kill -9 a client is back soon after its server", { skip }, async () => {
  const server = await ServerProcess.started();
  const client = await connected(server.address);
  const study = await client.createStudy(spec(400), { studyId: "back" });
  const events = study.watch();
  await events.next();
  const candidates = await study.ask({ n: 2 });
  await server.kill();
  await assert.rejects(client.serverInfo(), bam.ServerUnavailable);
  const next = events.next().then(() => performance.now());
  const told = study.tell(candidates, [1, 2]).then(() => performance.now());
  const ready = server.start().then(() => performance.now());
  const [served, answered, seen] = await Promise.all([ready, told, next]);
  assert.ok(answered - served < BACK_MS, "tell");
  assert.ok(seen - served < BACK_MS, "watch");
});

test("a server that stays away is ServerUnavailable after the given time", { skip }, async () => {
  const server = await ServerProcess.started();
  const client = await connected(server.address, { reconnectMs: 1000 });
  const study = await client.createStudy(spec(400));
  const events = study.watch();
  await events.next();
  await server.kill();
  const started = performance.now();
  await assert.rejects(study.ask(), bam.ServerUnavailable);
  await assert.rejects(async () => {
    for await (const _ of events);
  }, bam.ServerUnavailable);
  assert.ok(performance.now() - started < 5000);
});
