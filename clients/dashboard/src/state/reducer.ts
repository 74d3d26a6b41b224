/** What the page knows, and how messages change it. Pure: no clock, no network. */

import { isWhole, readStudy, readSummary } from "../api/reading";
import type {
  Curves,
  GenerationData,
  JsonObject,
  LogEntry,
  Server,
  StateData,
  Study,
  Summary,
} from "../api/types";
import { extended, MOST_POINTS } from "./curves";

/** The connection to the gateway, and from there to the server. Times in milliseconds. */
export interface Link {
  gateway: "opening" | "open" | "lost";
  gatewaySince: number;
  server: boolean;
  serverSince: number;
  message: string;
}

export interface Detail {
  study: Study;
  curves: Curves | null;
  log: LogEntry[];
  /** Last sequence number that is folded in. */
  sequence: number;
  /** Generations that were closed while the curves are read; null while they are not. */
  meanwhile: readonly GenerationData[] | null;
}

export interface State {
  link: Link;
  server: Server | null;
  /** All studies of the server by id, as the listing has them. */
  studies: Readonly<Record<string, Summary>>;
  listed: boolean;
  details: Readonly<Record<string, Detail>>;
}

export type Action =
  | { do: "server"; server: Server; at: number }
  | { do: "gateway"; open: boolean; at: number }
  | { do: "connected"; connected: boolean; message: string; at: number }
  | { do: "listed"; studies: Summary[]; anew: boolean }
  | { do: "deleted"; ids: string[] }
  | { do: "study"; study: JsonObject }
  | { do: "loaded"; study: Study }
  | { do: "reading"; id: string }
  | { do: "curves"; id: string; curves: Curves }
  | { do: "generations"; id: string; events: GenerationData[] }
  | { do: "state"; change: StateData }
  | { do: "log"; id: string; entries: LogEntry[] };

export const EMPTY: State = {
  link: { gateway: "opening", gatewaySince: 0, server: true, serverSince: 0, message: "" },
  server: null,
  studies: {},
  listed: false,
  details: {},
};

export function reduce(state: State, action: Action): State {
  switch (action.do) {
    case "server": {
      const { connected, message } = action.server;
      const next = reduce(state, { do: "connected", connected, message, at: action.at });
      return { ...next, server: action.server };
    }
    case "gateway":
      return { ...state, link: gatewayLink(state.link, action.open, action.at) };
    case "connected":
      return { ...state, link: serverLink(state.link, action) };
    case "listed": {
      const studies = withSummaries(action.anew ? {} : state.studies, action.studies);
      return { ...state, studies, listed: true };
    }
    case "deleted":
      return {
        ...state,
        studies: without(state.studies, action.ids),
        details: without(state.details, action.ids),
      };
    case "study":
      return isWhole(action.study)
        ? reduce(state, { do: "loaded", study: readStudy(action.study) })
        : { ...state, studies: withSummaries(state.studies, [readSummary(action.study)]) };
    case "loaded":
      return loaded(state, action.study);
    case "reading":
      return changed(state, action.id, (detail) => ({ ...detail, meanwhile: [] }));
    case "curves":
      return changed(state, action.id, (detail) => ({
        ...detail,
        curves: extended(action.curves, detail.meanwhile ?? []),
        meanwhile: null,
      }));
    case "generations":
      return changed(state, action.id, (detail) => closed(detail, action.events));
    case "state":
      return moved(state, action.change);
    case "log":
      return changed(state, action.id, (detail) => ({ ...detail, log: merged(detail.log, action.entries) }));
  }
}

function gatewayLink(link: Link, open: boolean, at: number): Link {
  const gateway = open ? "open" : "lost";
  return link.gateway === gateway ? link : { ...link, gateway, gatewaySince: at };
}

function serverLink(link: Link, said: { connected: boolean; message: string; at: number }): Link {
  if (link.server === said.connected && link.message === said.message) return link;
  const serverSince = link.server === said.connected ? link.serverSince : said.at;
  return { ...link, server: said.connected, serverSince, message: said.message };
}

/** Summaries replace older ones of their studies; an older sequence number changes nothing. */
function withSummaries(
  studies: Readonly<Record<string, Summary>>,
  news: readonly Summary[],
): Readonly<Record<string, Summary>> {
  const next = { ...studies };
  for (const summary of news) {
    const known = next[summary.id];
    const anew = known?.create_time !== summary.create_time;
    if (!known || anew || summary.sequence >= known.sequence) next[summary.id] = { ...known, ...summary };
  }
  return next;
}

function without<T>(record: Readonly<Record<string, T>>, ids: readonly string[]): Record<string, T> {
  const gone = new Set(ids);
  return Object.fromEntries(Object.entries(record).filter(([id]) => !gone.has(id)));
}

function loaded(state: State, study: Study): State {
  const known = state.details[study.id];
  const same = known && known.study.create_time === study.create_time; // not made anew under its name
  const detail: Detail = same
    ? { ...known, study, sequence: Math.max(known.sequence, study.sequence) }
    : { study, curves: null, log: [], sequence: study.sequence, meanwhile: [] };
  return {
    ...state,
    details: { ...state.details, [study.id]: detail },
    studies: withSummaries(state.studies, [summaryOf(study)]),
  };
}

/** The part of a study that listings show. */
function summaryOf(study: Study): Summary {
  const { spec, targets, accounting, optimizer_settled, units, ...summary } = study;
  return summary;
}

function changed(state: State, id: string, change: (detail: Detail) => Detail): State {
  const detail = state.details[id];
  return detail ? { ...state, details: { ...state.details, [id]: change(detail) } } : state;
}

/** Several closed generations, in their order. Those already folded in change nothing. */
function closed(before: Detail, events: readonly GenerationData[]): Detail {
  const last = events.at(-1);
  if (!last) return before;
  const { meanwhile } = before;
  const detail = meanwhile ? { ...before, meanwhile: [...meanwhile, ...events].slice(-MOST_POINTS) } : before;
  const curves = detail.curves && extended(detail.curves, events);
  const news = events.filter((event) => event.sequence > detail.sequence);
  if (!news.length) return curves === detail.curves ? detail : { ...detail, curves };
  const best = new Map<number, number | null>();
  for (const event of news) {
    event.targets.forEach((target, place) => best.set(target, event.best_so_far[place] ?? null));
  }
  const targets = detail.study.targets.map((target) => {
    const found = best.get(target.target);
    return found === undefined || found === null || found === target.best_score
      ? target
      : { ...target, best_score: found };
  });
  const study: Study = {
    ...detail.study,
    targets,
    generation: last.generation + 1,
    search_rows: last.rows,
    seconds: last.seconds ?? detail.study.seconds,
    best_score: highest(targets.map((target) => target.best_score)),
  };
  return { ...detail, study, curves, sequence: last.sequence };
}

function highest(values: readonly (number | null)[]): number | null {
  return values.reduce((most, value) => (value !== null && (most === null || value > most) ? value : most), null);
}

function moved(state: State, change: StateData): State {
  const { study: id, state: next, stop_reason, message, sequence } = change;
  const news = { state: next, stop_reason, message };
  const summary = state.studies[id];
  const studies =
    summary && sequence >= summary.sequence
      ? { ...state.studies, [id]: { ...summary, ...news, sequence } }
      : state.studies;
  return changed({ ...state, studies }, id, (detail) =>
    sequence < detail.sequence
      ? detail
      : { ...detail, sequence, study: { ...detail.study, ...news } },
  );
}

/** Entries of the log by sequence number, the newest first. */
function merged(log: readonly LogEntry[], news: readonly LogEntry[]): LogEntry[] {
  const all = new Map([...log, ...news].map((entry) => [entry.sequence, entry]));
  return [...all.values()].sort((one, other) => other.sequence - one.sequence);
}
