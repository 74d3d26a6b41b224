import { connectNodeAdapter } from "@connectrpc/connect-node";
import assert from "node:assert/strict";
import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import { test } from "node:test";

import { CatalogService } from "../src/gen/blackbox_am/v1/catalog_service_pb.js";
import * as bam from "../src/index.js";
import { atEnd, certificates, connected, ServerProcess, skip } from "./server_process.js";

/** Serves on a free port until the end of the tests; returns host:port. */
async function listening(server: net.Server): Promise<string> {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  atEnd(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

const unavailable = (said: RegExp) => (error: Error) => {
  assert.ok(error instanceof bam.ServerUnavailable, `${error.name}: ${error.message}`);
  assert.match(error.message, said);
  return true;
};

test("no server", async () => {
  await assert.rejects(
    bam.connect("127.0.0.1:1"),
    unavailable(/127\.0\.0\.1:1 .*ECONNREFUSED.*check/),
  );
  await assert.rejects(
    bam.connect("no.such.host.invalid:1"),
    unavailable(/no\.such\.host\.invalid/),
  );
});

test("a port of another protocol", async () => {
  const web = await listening(http.createServer((_, response) => response.end("hello")));
  await assert.rejects(bam.connect(web), unavailable(/HTTP\/2|TLS/));
  const silent = await listening(net.createServer());
  const started = performance.now();
  await assert.rejects(bam.connect(silent, { timeoutMs: 500 }), unavailable(/in time/));
  assert.ok(performance.now() - started < 3000);
  const closing = await listening(net.createServer((socket) => socket.destroy()));
  await assert.rejects(bam.connect(closing), unavailable(/closed the connection/));
  const other = await listening(http2.createServer((_, response) => response.end("hello")));
  await assert.rejects(bam.connect(other), bam.BlackboxError);
});

test("a server of another version is refused", async () => {
  const handler = connectNodeAdapter({
    routes: (router) =>
      router.service(CatalogService, { getServerInfo: () => ({ apiVersion: "99.0" }) }),
  });
  const address = await listening(http2.createServer(handler));
  await assert.rejects(bam.connect(address), (error: Error) => {
    assert.ok(error instanceof bam.Unsupported);
    assert.match(error.message, /99\.0 .* 0\.1; use the client of the server's version/);
    return true;
  });
});

test("TLS against plain text, and the reverse", { skip }, async () => {
  const file = certificates();
  const ca = file("authority", "pem");
  const plain = await ServerProcess.started();
  await assert.rejects(bam.connect(plain.address, { tls: ca }), unavailable(/does not speak TLS/));
  const secured = await ServerProcess.started(
    ["[server]", "shipped = false", 'device = "cpu"']
      .concat(
        `tls_certificate = "${file("server", "pem")}"`,
        `tls_key = "${file("server", "key")}"`,
      )
      .concat(`tls_client_ca = "${ca}"`)
      .join("\n"),
  );
  const { address } = secured;
  await assert.rejects(bam.connect(address, { timeoutMs: 5000 }), unavailable(/expects TLS/));
  await assert.rejects(bam.connect(address, { tls: true }), unavailable(/not trusted/));
  await assert.rejects(
    bam.connect(address, { tls: ca }),
    unavailable(/a certificate of its client/),
  );
  const [certificate, key] = [file("client", "pem"), file("client", "key")];
  const named = { ca, certificate, key, serverName: "elsewhere.example" };
  await assert.rejects(bam.connect(address, { tls: named }), unavailable(/another name/));
  const client = await connected(address, { tls: { ca, certificate, key } });
  assert.equal((await client.serverInfo()).device, "cpu");
});

test("files that are no certificates", async () => {
  const refused = (tls: bam.Tls) =>
    assert.rejects(bam.connect("127.0.0.1:1", { tls }), { name: "InvalidInput" });
  await refused({ ca: "/no/such/file.pem" });
  await refused({ ca: import.meta.filename ?? process.argv[1]! });
  await refused({ certificate: "/no/such/file.pem" });
});
