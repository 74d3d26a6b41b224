/** The calls of the page, one function each. */

import { address, get, post, type Query } from "./http";
import { readStudy, readSummary } from "./reading";
import type {
  BestJson,
  Curves,
  GeneratorRow,
  Group,
  JsonObject,
  LogEntry,
  NaturalImage,
  Oracle,
  OracleRow,
  Server,
  Study,
  Summary,
} from "./types";

const study = (id: string) => `studies/${encodeURIComponent(id)}`;
const oracle = (name: string) => `oracles/${encodeURIComponent(name)}`;

export const server = () => get<Server>("server");

/** One page of studies, in the order of their ids. */
export async function studies(
  query: Query,
): Promise<{ studies: Summary[]; next_page_token: string }> {
  const page = await get<{ studies: JsonObject[]; next_page_token: string }>("studies", query);
  return { ...page, studies: page.studies.map(readSummary) };
}

/** All studies of the server, page by page. */
export async function allStudies(query: Query, onPage: (found: Summary[]) => void): Promise<void> {
  let token = "";
  do {
    const page = await studies({ ...query, page_size: 500, page_token: token });
    onPage(page.studies);
    token = page.next_page_token;
  } while (token);
}

export async function oneStudy(id: string): Promise<Study> {
  return readStudy(await get<JsonObject>(study(id)));
}

export const curves = (id: string, points: number, targets: readonly number[]) =>
  get<Curves>(`${study(id)}/curves`, { points, targets: targets.join(",") });

export const best = (id: string, target: number, signal?: AbortSignal) =>
  get<BestJson>(`${study(id)}/targets/${target}/best.json`, {}, signal);

/** What happened after an event, the oldest first; generations are left out. */
export const log = (id: string, after: number, limit: number) =>
  get<LogEntry[]>(`${study(id)}/events-log`, { after, limit });

/** The address of a picture of the best stimulus; `version` changes when the stimulus does. */
export const bestPicture = (
  id: string,
  target: number,
  size: number,
  version: string,
  generation: number | null = null,
) => address(`${study(id)}/targets/${target}/best.png`, { size, generation, v: version });

export const naturalPicture = (id: string, target: number, size: number) =>
  address(`${study(id)}/targets/${target}/natural.png`, { size });

/** The address of a picture of the input that a target changes. */
export const inputPicture = (id: string, target: number, size: number) =>
  address(`${study(id)}/targets/${target}/input.png`, { size });

/** The address of a picture of the change. */
export const changePicture = (id: string, target: number, size: number, version: string) =>
  address(`${study(id)}/targets/${target}/change.png`, { size, v: version });

export const oracles = async () =>
  (await get<{ oracles: OracleRow[] }>("oracles")).oracles;
export const oneOracle = (name: string) => get<Oracle>(oracle(name));
export const units = (name: string, layer: string, page_token = "") =>
  get<{ units: string[]; next_page_token: string }>(`${oracle(name)}/units`, { layer, page_token });
export const naturals = (name: string, unit: string, count: number) =>
  get<{ images: NaturalImage[]; message?: string }>(`${oracle(name)}/natural`, { unit, count });
export const generators = async () =>
  (await get<{ generators: GeneratorRow[] }>("generators")).generators;

export const groups = async () =>
  (await get<{ groups: Group[] }>("groups")).groups;
export const oneGroup = (id: string) => get<Group>(`groups/${encodeURIComponent(id)}`);

export const create = async (study_id: string, spec: JsonObject) =>
  readStudy(await post<JsonObject>("studies", study_id ? { study_id, spec } : { spec }));
export const steer = (id: string, verb: "pause" | "resume" | "cancel") =>
  post<JsonObject>(`${study(id)}:${verb}`);
export const extend = (id: string, queries_per_target: number) =>
  post<JsonObject>(`${study(id)}:extend`, { queries_per_target });
