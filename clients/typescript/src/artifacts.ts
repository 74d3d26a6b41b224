/** Bytes that a server stores, such as inputs that a study brings. */

import { create } from "@bufbuild/protobuf";

import { Joiner, MAX_ANSWER_BYTES, split } from "./chunks.js";
import type { Connection, Signalled } from "./connection.js";
import {
  type WriteArtifactRequest,
  WriteArtifactRequestSchema,
} from "./gen/blackbox_am/v1/study_service_pb.js";

export async function writeArtifact(
  connection: Connection,
  data: Uint8Array,
  options: Signalled,
): Promise<string> {
  const answer = await connection.stream(
    (call) => connection.studies.writeArtifact(requests(data), call),
    options,
  );
  return answer.digest;
}

async function* requests(data: Uint8Array): AsyncGenerator<WriteArtifactRequest> {
  if (data.length === 0) yield create(WriteArtifactRequestSchema, { chunk: {} });
  for (const chunk of split(data)) yield create(WriteArtifactRequestSchema, { chunk });
}

export async function readArtifact(
  connection: Connection,
  digest: string,
  options: Signalled,
): Promise<Uint8Array> {
  return connection.stream(async (call) => {
    let chunks: Joiner | undefined;
    for await (const { chunk } of connection.studies.readArtifact(
      { name: `artifacts/${digest}` },
      call,
    )) {
      if (!chunk) continue;
      chunks ??= new Joiner(Number(chunk.totalSize), MAX_ANSWER_BYTES);
      chunks.add(chunk);
    }
    return chunks?.result() ?? new Uint8Array();
  }, options);
}
