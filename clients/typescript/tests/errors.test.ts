import { Code, ConnectError } from "@connectrpc/connect";
import assert from "node:assert/strict";
import { test } from "node:test";

import { headersOf, isLoopback, urlOf } from "../src/access.js";
import { ErrorReason } from "../src/gen/blackbox_am/v1/error_reason_pb.js";
import * as client from "../src/index.js";
import { toAnswer } from "../src/sending.js";
import { fromCall } from "../src/status.js";
import { classOfReason, rowOf } from "../src/table.js";

const TO = { target: "rig:1", encrypted: false, certificate: false };

/** An error as it arrives from a server. */
function arrived(error: ConnectError): unknown {
  error.metadata.set("grpc-status", String(error.code));
  return fromCall(error, TO);
}

test("every reason of the protos has a class", () => {
  for (const reason of Object.values(ErrorReason)) {
    if (typeof reason !== "string" || reason === "UNSPECIFIED") continue;
    const type = classOfReason(reason);
    assert.ok(type, reason);
    const error = new type("text");
    assert.equal(error.reason, reason);
    assert.ok(error instanceof client.BlackboxError);
  }
});

test("classes form a tree", () => {
  const error = new client.StudyExists("text", { field: "study_id", retryAfterMs: 5 });
  assert.ok(error instanceof client.Conflict);
  assert.ok(!(error instanceof client.NotFound));
  assert.equal(String(error), "StudyExists: text");
  class Mine extends client.OutOfMemory {}
  assert.equal(rowOf(new Mine("text")).name, "OutOfMemory");
});

test("an error goes out and comes back as the same error", () => {
  const sent = new client.UnknownUnit("no unit", { field: "units[1]", retryAfterMs: 1500 });
  const error = arrived(toAnswer(sent)) as client.BlackboxError;
  assert.ok(error instanceof client.UnknownUnit);
  assert.deepEqual(
    [error.message, error.field, error.retryAfterMs, error.reason],
    ["no unit", "units[1]", 1500, "UNKNOWN_UNIT"],
  );
});

test("an ordinary error of a model is OracleFailed, and a long message is cut", () => {
  const error = arrived(toAnswer(new TypeError("x".repeat(5000)))) as client.BlackboxError;
  assert.ok(error instanceof client.OracleFailed);
  assert.ok(error.message.startsWith("the model failed: xxx") && error.message.length < 1300);
});

test("an error without a reason goes by its code", () => {
  const of = (code: Code, text = "said") => arrived(new ConnectError(text, code));
  assert.ok(of(Code.Aborted) instanceof client.Conflict);
  assert.ok(of(Code.Canceled) instanceof client.ServerUnavailable);
  assert.ok(of(Code.OutOfRange) instanceof client.ServerFailed);
  assert.ok(of(Code.ResourceExhausted) instanceof client.QuotaExceeded);
  const text = "Received message larger than max (5 vs. 4)";
  assert.ok(of(Code.ResourceExhausted, text) instanceof client.MessageTooLarge);
});

test("a lost connection is ServerUnavailable, and the end of a signal its reason", () => {
  const lost = new ConnectError("http/2 stream closed with error code CANCEL (0x8)", Code.Canceled);
  const error = fromCall(lost, TO);
  assert.ok(error instanceof client.ServerUnavailable);
  assert.match(error.message, /rig:1/);
  const reason = new Error("enough");
  assert.equal(fromCall(lost, TO, AbortSignal.abort(reason)), reason);
});

test("addresses of this machine", () => {
  const here = ["localhost:1", "127.0.0.1:1", "[::1]:1", "dns:///localhost:1", "a.localhost:1"];
  for (const target of here) assert.ok(isLoopback(target), target);
  const elsewhere = ["localhost.example.org:1", "10.0.0.1:1", "[2001:db8::1]:1", "127.example:1"];
  for (const target of elsewhere) assert.ok(!isLoopback(target), target);
});

test("what is no address is refused", () => {
  assert.equal(urlOf("[::1]:50051", true), "https://[::1]:50051");
  assert.equal(urlOf("dns:///rig:50051", false), "http://rig:50051");
  for (const target of ["rig", "rig:0", "rig:70000", "http://rig:1", "a b:1", ":1", "x@rig:1"]) {
    assert.throws(() => urlOf(target, false), { name: "InvalidInput", field: "target" });
  }
});

test("a token is not sent in the open, nor is it in a message", async () => {
  assert.deepEqual(headersOf("abc", "rig:1", true), { authorization: "Bearer abc" });
  const secret = { name: "InvalidInput", field: "token" };
  assert.throws(() => headersOf("se cret", "localhost:1", false), secret);
  await assert.rejects(client.connect("192.0.2.1:50051", { token: "letmein" }), (error: Error) => {
    assert.ok(error instanceof client.InvalidInput);
    assert.ok(!error.message.includes("letmein") && error.message.includes("TLS"));
    return true;
  });
});

test("specifications are checked before they are sent", () => {
  const targets = ["neuron:0"];
  const refused = (spec: client.StudySpec, field: string) =>
    assert.throws(() => client.studySpec(spec), { name: "InvalidSpec", field });
  refused({ targets }, "spec");
  refused({ targets, generator: "g", space: { kind: "normal", dimension: 2 } }, "spec");
  refused({ targets, generator: "g", queriesPerTarget: 0.5 }, "budget.queries_per_target");
  refused({ targets, generator: "g", seed: 0.5 }, "spec.seed");
  refused({ targets, generator: "g", seed: 2n ** 63n }, "spec.seed");
  const message = client.studySpec({
    targets: [["a:0", "a:1"], { expression: "a:0 - a:1" }],
    generator: "g",
  });
  assert.deepEqual(message.targets[0]?.quantities, ["a:0", "a:1"]);
  assert.equal(message.seed, undefined);
});
