/** What a server has: names, units, latents, stimuli, activations. */

import type { Connection, Signalled } from "./connection.js";
import { joined } from "./chunks.js";
import type {
  GeneratorInfo,
  OptimizerInfo,
  OracleInfo,
} from "./gen/blackbox_am/v1/catalog_service_pb.js";
import type { DescribeOracleResponse } from "./gen/blackbox_am/v1/oracle_service_pb.js";
import { type StimulusDtype, stimulusDtype } from "./names.js";
import { observe } from "./observing.js";
import { pages } from "./pages.js";
import { type Tensor, toMessage } from "./tensor.js";

const PAGE_SIZE = 1000;

/** What a server says of itself. */
export interface ServerInfo {
  readonly version: string;
  /** MAJOR.MINOR; equal to that of this client. */
  readonly apiVersion: string;
  readonly device: string;
  readonly features: readonly string[];
  readonly maxMessageBytes: number;
  readonly maxStreamBytes: number;
  readonly maxPageSize: number;
}

/** The catalogue of a server: the part of `Client` that is independent of studies. */
export class Catalog {
  protected readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** Versions, device, features and limits of the server. */
  async serverInfo(options: Signalled = {}): Promise<ServerInfo> {
    const info = await this.connection.call(
      (call) => this.connection.catalog.getServerInfo({}, call),
      options,
    );
    return {
      version: info.version,
      apiVersion: info.apiVersion,
      device: info.device,
      features: info.features,
      maxMessageBytes: info.limits?.maxMessageBytes ?? 0,
      maxStreamBytes: Number(info.limits?.maxStreamBytes ?? 0n),
      maxPageSize: info.limits?.maxPageSize ?? 0,
    };
  }

  /** The oracles that the server has, by name. */
  async oracles(options: Signalled = {}): Promise<OracleInfo[]> {
    return pages(async (pageToken) => {
      const request = { pageSize: PAGE_SIZE, pageToken };
      const answer = await this.connection.call(
        (call) => this.connection.catalog.listOracles(request, call),
        options,
      );
      return [answer.oracles, answer.nextPageToken];
    });
  }

  /** The generators that the server has, by name. */
  async generators(options: Signalled = {}): Promise<GeneratorInfo[]> {
    return pages(async (pageToken) => {
      const request = { pageSize: PAGE_SIZE, pageToken };
      const answer = await this.connection.call(
        (call) => this.connection.catalog.listGenerators(request, call),
        options,
      );
      return [answer.generators, answer.nextPageToken];
    });
  }

  /** The optimizers that the server has, by name. */
  async optimizers(options: Signalled = {}): Promise<OptimizerInfo[]> {
    return pages(async (pageToken) => {
      const request = { pageSize: PAGE_SIZE, pageToken };
      const answer = await this.connection.call(
        (call) => this.connection.catalog.listOptimizers(request, call),
        options,
      );
      return [answer.optimizers, answer.nextPageToken];
    });
  }

  /** Addresses of an oracle's units: of one layer, or of all. */
  async units(oracle: string, layer = "", options: Signalled = {}): Promise<string[]> {
    return pages(async (pageToken) => {
      const request = { oracle, layer, pageSize: PAGE_SIZE, pageToken };
      const answer = await this.connection.call(
        (call) => this.connection.catalog.listUnits(request, call),
        options,
      );
      return [answer.units, answer.nextPageToken];
    });
  }

  /** The description of an oracle. */
  async describeOracle(oracle: string, options: Signalled = {}): Promise<DescribeOracleResponse> {
    return this.connection.call(
      (call) => this.connection.oracles.describeOracle({ oracle }, call),
      options,
    );
  }

  /** Latents (count, D) from a generator's prior. Without a seed the server draws one. */
  async sample(
    generator: string,
    count: number,
    { seed, signal }: Signalled & { readonly seed?: number | bigint } = {},
  ): Promise<Tensor> {
    const request = { generator, count, ...(seed !== undefined && { seed: BigInt(seed) }) };
    return this.connection.stream(
      (call) =>
        joined(
          this.connection.catalog.sample(request, call),
          "latents",
          (header) => header.latents,
        ),
      { signal },
    );
  }

  /**
   * Stimuli of latents (N, D), which must fit into one message: uint8 (0 to 255), or float32 (0 to 1).
   * `targets` are those of the rows, for generators that tell them apart.
   */
  async render(
    generator: string,
    latents: Tensor,
    options: Signalled & {
      readonly dtype?: StimulusDtype;
      readonly targets?: readonly number[];
    } = {},
  ): Promise<Tensor> {
    const request = {
      generator,
      latents: toMessage(latents),
      stimulusDtype: stimulusDtype(options.dtype),
      targets: [...(options.targets ?? [])],
    };
    return this.connection.stream(
      (call) =>
        joined(
          this.connection.catalog.render(request, call),
          "stimuli",
          (header) => header.stimuli,
        ),
      options,
    );
  }

  /**
   * Activations (N, U) of an oracle's units for stimuli (N, *stimulus): uint8 (0 to 255), or float32
   * (0 to 1). Any number of bytes: a batch is split over several calls, and a stimulus that is too large
   * for one message is sent in chunks.
   */
  async observe(
    oracle: string,
    stimuli: Tensor,
    units: readonly string[],
    options: Signalled = {},
  ): Promise<Tensor> {
    return observe(this.connection, oracle, stimuli, units, options);
  }
}
