/** What the page watches: it reads studies once, and then follows the stream. */

import { useEffect } from "preact/hooks";
import * as calls from "../api/calls";
import { type Connection, connect } from "../stream/connection";
import { type HubMessage, LISTING, type Wanted } from "../stream/hub";
import { thrown, told } from "./problems";
import type { Detail } from "./reducer";
import { store } from "./store";

const SOON_MS = 700;
/** Targets x points of the curves of a study that are read, and the most points. */
const CURVE_VALUES = 40_000;
const CURVE_POINTS = 400;
/** Of a study with more targets, so many have curves, evenly spaced, besides those that are looked at. */
export const MOST_CURVES = 200;

let connection: Connection | null = null;
const watched = new Map<string, number>();
const reading = new Set<string>();

/** Connects the page: called once. */
export function begin(): void {
  void readServer().then(readListing);
  connection = connect((message) => {
    store.receive(message);
    followUp(message);
  });
  watch(LISTING);
}

async function readServer(): Promise<void> {
  try {
    store.dispatch({ do: "server", server: await calls.server(), at: Date.now() });
  } catch (error) {
    thrown(error);
  }
}

/** The listing for a tab that joins a stream which others have begun. */
async function readListing(): Promise<void> {
  try {
    await calls.allStudies({}, (studies) => store.dispatch({ do: "listed", studies, anew: false }));
  } catch (error) {
    thrown(error);
  }
}

/** Problems are shown; after an absence the page asks again for what it could not read. */
function followUp({ kind, data }: HubMessage): void {
  if (kind === "deleted" || kind === "problem") told(data.message, data.study ?? "", kind === "deleted");
  if (kind === "study") readCurvesOf(data.id);
  if (kind === "server" && data.connected && !store.state.link.server) returned();
}

function returned(): void {
  void readServer();
  for (const id of watched.keys()) readCurvesOf(id);
}

/** Reads a study that is on the page and has no curves, because it could not be read or is new. */
function readCurvesOf(id: string): void {
  const lacks = () => id !== LISTING && watched.has(id) && !reading.has(id) && !store.state.details[id]?.curves;
  setTimeout(() => lacks() && void readStudy(id).then(want), SOON_MS);
}

/** Reads a study, and its curves where it has none yet. */
async function readStudy(id: string): Promise<void> {
  reading.add(id);
  try {
    const isNew = !store.state.details[id]?.curves;
    const study = await calls.oneStudy(id);
    store.dispatch({ do: "loaded", study });
    if (isNew) await readCurves(id, study.target_count, []);
  } catch (error) {
    thrown(error, id);
  } finally {
    reading.delete(id);
  }
}

async function readCurves(id: string, total: number, more: readonly number[]): Promise<void> {
  const targets = [...new Set([...spread(total, MOST_CURVES), ...more])];
  const points = Math.min(CURVE_POINTS, Math.floor(CURVE_VALUES / targets.length));
  store.dispatch({ do: "reading", id });
  store.dispatch({ do: "curves", id, curves: await calls.curves(id, points, targets) });
}

/** Reads the curves of targets that are looked at, where a study has too many to read all. */
export function useCurvesOf({ study, curves }: Detail, targets: readonly number[]): void {
  const lacking = targets.filter((target) => curves && target < study.target_count && !curves.targets.includes(target));
  const key = lacking.join();
  useEffect(() => {
    if (key) readCurves(study.id, study.target_count, targets).catch((error: unknown) => thrown(error, study.id));
  }, [study.id, key]);
}

/** At most `most` of `total` places, evenly spaced. */
export function spread(total: number, most: number): number[] {
  const length = Math.min(total, most);
  return Array.from({ length }, (_, place) => Math.floor((place * total) / length));
}

/** Tells the stream what is on the page; a study follows once it was read. */
function want(): void {
  const wanted: Wanted = {};
  for (const id of watched.keys()) {
    const detail = store.state.details[id];
    if (id === LISTING) wanted[id] = 0;
    else if (detail) wanted[id] = detail.sequence;
  }
  connection?.want(wanted);
}

function watch(id: string): void {
  watched.set(id, (watched.get(id) ?? 0) + 1);
  want();
}

function unwatch(id: string): void {
  const left = (watched.get(id) ?? 1) - 1;
  if (left > 0) watched.set(id, left);
  else watched.delete(id);
  want();
}

/** Watches studies while the component is on the page. */
export function useStudies(ids: readonly string[]): void {
  const key = ids.join(" ");
  useEffect(() => {
    let gone = false;
    for (const id of ids) {
      watch(id);
      void readStudy(id).then(() => gone || want());
    }
    return () => {
      gone = true;
      for (const id of ids) unwatch(id);
    };
  }, [key]);
}
