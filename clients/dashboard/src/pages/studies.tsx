/** The list of studies: filtered, live, and a choice of those to compare. */

import { useEffect, useState } from "preact/hooks";
import type { StudyState, Summary } from "../api/types";
import { plural } from "../format/numbers";
import { STATES, look } from "../format/words";
import { Choice, Search, Select } from "../parts/small";
import { useClock } from "../parts/frame";
import { useKeys } from "../state/keys";
import { go, route, set } from "../state/route";
import { useSignal } from "../state/signal";
import { useStore } from "../state/store";
import { filtered, labelsOf, oraclesOf } from "./filtering";
import { StudyTable } from "./study_table";

const PAGE = 100;

export function StudiesPage() {
  const { query } = useSignal(route);
  const all = useStore((state) => state.studies);
  const listed = useStore((state) => state.listed);
  const now = useClock(true, 30_000);
  const [shown, setShown] = useState(PAGE);
  const [marked, setMarked] = useState(-1); // none until a key is pressed
  const [chosen, setChosen] = useState<readonly string[]>([]);

  const studies = Object.values(all);
  const filter = {
    state: (query.get("state") ?? "") as StudyState | "",
    oracle: query.get("oracle") ?? "",
    label: query.get("label") ?? "",
    text: query.get("text") ?? "",
  };
  const found = filtered(studies, filter);
  const rows = found.slice(0, shown);
  const toggle = (id: string) =>
    setChosen((ids) => (ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id]));
  const compare = () => chosen.length > 1 && go(["compare"], { studies: chosen.join(",") });
  const mark = (step: number) => setMarked((at) => Math.max(0, Math.min(rows.length - 1, at + step)));
  useKeys({
    j: () => mark(1),
    k: () => mark(-1),
    x: () => {
      const row = rows[marked];
      if (row) toggle(row.id);
    },
    Enter: () => {
      const row = rows[marked];
      if (row) go(["study", row.id]);
    },
    c: compare,
  });
  useEffect(() => document.querySelector("tr.marked")?.scrollIntoView({ block: "nearest" }), [marked]);

  return (
    <>
      <div class="heading">
        <h1>Studies</h1>
        <p class="soft">{summary(studies, found)}</p>
      </div>
      <div class="tools">
        <Search label="Filter by name, label, generator" value={filter.text} onChange={(text) => set({ text })} />
        <Choice label="State" value={filter.state} options={stateOptions(studies)} onChange={(state) => set({ state })} />
        <Select label="Oracle" value={filter.oracle} options={withAll(oraclesOf(studies))} onChange={(oracle) => set({ oracle })} />
        <Select label="Label" value={filter.label} options={withAll(labelsOf(studies))} onChange={(label) => set({ label })} />
        <button type="button" class={chosen.length > 1 ? "primary" : ""} disabled={chosen.length < 2} onClick={compare}>
          {chosen.length ? `Compare ${chosen.length}` : "Compare"}
        </button>
      </div>
      {rows.length ? (
        <StudyTable rows={rows} now={now} marked={marked} chosen={chosen} toggle={toggle} />
      ) : (
        <Nothing listed={listed} any={studies.length > 0} />
      )}
      {found.length > shown && (
        <p class="more">
          <button type="button" onClick={() => setShown(shown + PAGE)}>
            Show {Math.min(PAGE, found.length - shown)} more of {found.length - shown}
          </button>
        </p>
      )}
    </>
  );
}

function Nothing({ listed, any }: { listed: boolean; any: boolean }) {
  if (any) return <p class="nothing">No study matches the filter.</p>;
  if (!listed) return <p class="nothing">Reading the studies of the server…</p>;
  return (
    <div class="nothing">
      <p>There is no study yet. Create one in a shell:</p>
      <pre>blackbox-am study create --oracle cifar_cnn --generator cifar_vae -t head:3</pre>
    </div>
  );
}

function summary(all: readonly Summary[], found: readonly Summary[]): string {
  const live = all.filter((study) => study.state === "running").length;
  const total = plural(all.length, "study", "studies");
  return found.length === all.length ? `${total}, ${live} running` : `${found.length} of ${total}, ${live} running`;
}

/** States that occur, with the number of studies in each. */
function stateOptions(studies: readonly Summary[]): [StudyState | "", string][] {
  const options: [StudyState | "", string][] = [["", "All"]];
  for (const state of STATES) {
    const number = studies.filter((study) => study.state === state).length;
    if (number) options.push([state, `${look(state).sign} ${look(state).word} ${number}`]);
  }
  return options;
}

function withAll(names: readonly string[]): [string, string][] {
  return [["", "all"], ...names.map((name): [string, string] => [name, name])];
}
