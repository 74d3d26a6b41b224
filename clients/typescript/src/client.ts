/** A client of a server. */

import type { MessageInitShape } from "@bufbuild/protobuf";

import { readArtifact, writeArtifact } from "./artifacts.js";
import { Catalog } from "./catalog.js";
import { Connection, type ConnectOptions, type Signalled } from "./connection.js";
import { Unsupported } from "./errors.js";
import { StudySpecSchema, StudyView } from "./gen/blackbox_am/v1/study_pb.js";
import { idOf, stateNumber, type StudyState } from "./names.js";
import { pages } from "./pages.js";
import { progressOf, type StudyProgress } from "./progress.js";
import { type StudySpec, studySpec } from "./specs.js";
import { Study } from "./study.js";
import { API_VERSION } from "./version.js";

const STUDIES_A_PAGE = 1000;

/** What a request says besides the specification. */
export interface CreateOptions extends Signalled {
  /**
   * A small letter, then small letters, digits, hyphens; 63 at most. The server chooses one without it.
   * A second call with the same id and specification continues the study.
   */
  readonly studyId?: string;
  /** Repeating a call with this id has no further effect. */
  readonly requestId?: string;
  /** Check, and create nothing; the study returned has no id. */
  readonly validateOnly?: boolean;
  /** Continue a study that was created with another model or generator. */
  readonly adopt?: boolean;
}

export interface ListOptions extends Signalled {
  /** Only studies in one of these states. */
  readonly states?: readonly StudyState[];
  /** Only studies with all of these labels. */
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * Connects to the server at `target`, `host:port`, and compares the versions of the API.
 *
 * Throws ServerUnavailable if no server answers there, or not with this encryption; Unauthenticated if
 * the server wants a token or does not know this one; InvalidInput for a token that cannot be sent
 * safely, and for files that are no certificates; Unsupported if the server has another version.
 */
export async function connect(
  target = "localhost:50051",
  options: ConnectOptions & Signalled = {},
): Promise<Client> {
  const client = new Client(new Connection(target, options));
  try {
    const { apiVersion } = await client.serverInfo(options);
    if (apiVersion !== API_VERSION) {
      throw new Unsupported(
        `the server at ${target} speaks version ${apiVersion || "unknown"} of the API, this client ` +
          `version ${API_VERSION}; use the client of the server's version`,
      );
    }
  } catch (error) {
    client.close();
    throw error;
  }
  return client;
}

/** A connection to a server. Made by `connect`. */
export class Client extends Catalog {
  /** The address of the server. */
  get target(): string {
    return this.connection.target;
  }

  /** Closes the connection; calls and watches end with ServerUnavailable. Studies continue. */
  close(): void {
    this.connection.close();
  }

  /**
   * Creates a study, or returns the one that is there under the id with the same specification.
   *
   * Throws InvalidInput, which names the field; NotFound for a generator or oracle that the server does
   * not have; Unsupported for an optimizer that cannot search this space; StudyExists if the id is that
   * of a study with another specification.
   */
  async createStudy(
    spec: StudySpec | MessageInitShape<typeof StudySpecSchema>,
    options: CreateOptions = {},
  ): Promise<Study> {
    const request = {
      spec: "$typeName" in spec ? spec : studySpec(spec as StudySpec),
      studyId: options.studyId ?? "",
      requestId: options.requestId ?? "",
      validateOnly: options.validateOnly ?? false,
      adopt: options.adopt ?? false,
    };
    const answer = await this.connection.call(
      (call) => this.connection.studies.createStudy(request, call),
      options,
    );
    const created = progressOf(answer.study!);
    return new Study(this.connection, idOf(answer.study!.name), created);
  }

  /** The study with this id. Throws NotFound if there is none. */
  async study(id: string, options: Signalled = {}): Promise<Study> {
    const progress = await this.handle(id).progress(options);
    return new Study(this.connection, id, progress);
  }

  /** A handle of the study with this id, without a call to the server. */
  handle(id: string): Study {
    return new Study(this.connection, id);
  }

  /** The studies, by id; `targets` of each are left out. */
  async studies({ states = [], labels = {}, signal }: ListOptions = {}): Promise<StudyProgress[]> {
    const request = {
      pageSize: STUDIES_A_PAGE,
      states: states.map(stateNumber),
      labels: { ...labels },
      view: StudyView.BASIC,
    };
    const found = await pages(async (pageToken) => {
      const answer = await this.connection.call(
        (call) => this.connection.studies.listStudies({ ...request, pageToken }, call),
        { signal },
      );
      return [answer.studies, answer.nextPageToken];
    });
    return found.map(progressOf);
  }

  /** Stores bytes on the server; returns their digest. Equal bytes have equal digests. */
  async writeArtifact(data: Uint8Array, options: Signalled = {}): Promise<string> {
    return writeArtifact(this.connection, data, options);
  }

  /** The bytes with this digest. */
  async readArtifact(digest: string, options: Signalled = {}): Promise<Uint8Array> {
    return readArtifact(this.connection, digest, options);
  }
}
