/** What the page watches: it reads studies once, and then follows the stream. */

import { useEffect } from "preact/hooks";
import * as calls from "../api/calls";
import { type Connection, connect } from "../stream/connection";
import { type Heard, LISTING, type Wanted } from "../stream/hub";
import { thrown, told } from "./problems";
import { store } from "./store";

const SOON_MS = 700;
const CURVE_POINTS = 400;
/** Of a study with more targets, so many have curves, evenly spaced. */
export const MOST_CURVES = 100;

let connection: Connection | null = null;
const watched = new Map<string, number>();
const reading = new Set<string>();

/** Connects the page: called once. */
export function begin(): void {
  void readServer().then(readListing);
  connection = connect((heard) => {
    store.hear(heard);
    followUp(heard);
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
function followUp(heard: Heard): void {
  if (heard.kind === "deleted" || heard.kind === "problem") {
    told(heard.data.message, heard.data.study ?? "", heard.kind === "deleted");
  }
  if (heard.kind === "study") readCurvesOf(heard.data.id);
  if (heard.kind === "server" && heard.data.connected && !store.state.link.server) returned();
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
    if (isNew) {
      const curves = await calls.curves(id, CURVE_POINTS, spread(study.target_count, MOST_CURVES));
      store.dispatch({ do: "curves", id, curves });
    }
  } catch (error) {
    thrown(error, id);
  } finally {
    reading.delete(id);
  }
}

/** At most `most` of `total` places, evenly spaced; null where all have a place. */
export function spread(total: number, most: number): number[] | null {
  if (total <= most) return null;
  return Array.from({ length: most }, (_, place) => Math.floor((place * total) / most));
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
