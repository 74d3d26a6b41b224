/** The best stimulus that any study has found for each unit of a layer. */

import { useMemo } from "preact/hooks";
import * as calls from "../api/calls";
import { isAway } from "../api/http";
import type { Layer, Oracle, Study, Summary } from "../api/types";
import { plural, score } from "../format/numbers";
import { Stimulus } from "../parts/stimulus";
import { Windowed } from "../parts/windowed";
import { useRead } from "../state/reading";
import { to } from "../state/route";
import { store, useStore } from "../state/store";
import { bestOf } from "./units";

/** So many of the newest studies of an oracle are read. */
const MOST_STUDIES = 40;

export function Gallery({ oracle, layer }: { oracle: Oracle; layer: Layer }) {
  const listed = useStore((state) => state.listed);
  const read = useRead(() => newest(oracle.name), [oracle.name, listed]);
  const studies = read?.studies;
  const found = useMemo(() => bestOf(studies ?? [], layer.name), [studies, layer.name]);
  if (!studies) return <p class="nothing">Reading the studies of {oracle.name}…</p>;
  if (!found.length) return <p class="nothing">No study has searched a unit of this layer yet.</p>;
  return (
    <>
      <p class="soft">
        {plural(found.length, "unit")} of {layer.units} searched in the newest {plural(studies.length, "study", "studies")}
        {read?.failed.length ? `; these could not be read: ${read.failed.join(", ")}` : ""}
      </p>
      <Windowed
        items={found}
        tileWidth={120}
        tileHeight={162}
        label="Units with their best stimuli"
        keyOf={(one) => one.unit}
        render={({ unit, study, target }) => (
          <a class="tile" href={to(["study", study.id], { t: target.target })} title={`${unit} in ${study.id}`}>
            <Stimulus study={study.id} target={target.target} title={unit} kind={study.stimulus_kind} best={target.best_score} size={104} />
            <span class="title">{unit}</span>
            <span class="line">
              <strong>{score(target.best_score)}</strong>
            </span>
          </a>
        )}
      />
    </>
  );
}

/** The newest studies of an oracle, and the names of those that could not be read. */
async function newest(oracle: string): Promise<{ studies: Study[]; failed: string[] }> {
  const all: Summary[] = Object.values(store.state.studies).filter((study) => study.oracle === oracle);
  all.sort((one, other) => (other.create_time ?? "").localeCompare(one.create_time ?? ""));
  const studies: Study[] = [];
  const failed: string[] = [];
  for (const { id } of all.slice(0, MOST_STUDIES)) {
    try {
      studies.push(await calls.oneStudy(id));
    } catch (error) {
      if (isAway(error)) throw error; // all are read again when the server is back
      failed.push(id);
    }
  }
  return { studies, failed };
}
