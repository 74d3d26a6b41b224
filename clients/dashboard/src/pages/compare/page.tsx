/** Compares studies: curves in one chart, a table with intervals, pictures side by side. */

import { useMemo, useState } from "preact/hooks";
import * as calls from "../../api/calls";
import { Chart, type Line } from "../../charts/chart";
import { STYLES } from "../../charts/palette";
import { plural } from "../../format/numbers";
import { Select } from "../../parts/small";
import { useStudies } from "../../state/live";
import type { Detail } from "../../state/reducer";
import { useRead } from "../../state/reading";
import { route, set, to } from "../../state/route";
import { useSignal } from "../../state/signal";
import { useStore } from "../../state/store";
import { averaged, commonTitles, grid, meanCurve, type Method, BESIDE, costOf, methodIn, methodsOf, naturalsOf } from "./methods";
import { Pictures } from "./pictures";
import { ScoreTable } from "./table";

/** More studies than these are too many for one chart. */
const MOST_STUDIES = 48;

export function ComparePage() {
  const { query } = useSignal(route);
  const group = query.get("group") ?? "";
  const members = useRead(() => membersOf(group), [group]);
  const asked = group ? [...(members?.keys() ?? [])] : (query.get("studies") ?? "").split(",").filter(Boolean);
  const ids = asked.slice(0, MOST_STUDIES);
  useStudies(ids);
  const details = useStore((state) => state.details);
  const found = ids.map((id) => details[id]).filter((detail): detail is Detail => detail !== undefined);
  const all = methodsOf(found, namesOf(members));
  const without = query.get("without")?.split(",") ?? (group ? BESIDE : []);
  const methods = all.filter(({ name }) => !without.includes(name));
  const runs = methods.flatMap((method) => method.runs);
  const naturals = naturalsOf(found);
  const unit = runs.some(({ study }) => costOf(study) > 1) ? "query-equivalents" : "queries";
  const titles = useMemo(() => commonTitles(runs), [runs.map(({ study }) => study.id).join(" ")]);
  return (
    <>
      <div class="heading">
        <h1>Compare</h1>
        {group && <a href={to(["group", group])}>group {group}</a>}
        <p class="soft">
          {plural(runs.length, "study", "studies")}, {plural(methods.length, "method")}, {plural(titles.length, "common target")}
          {asked.length > ids.length && `; the first ${ids.length} of ${asked.length} studies are shown`}
        </p>
      </div>
      {found.length < ids.length && <p class="nothing">Reading the studies…</p>}
      {all.length > 1 && <Shown all={all} without={without} />}
      {found.length === ids.length && !titles.length && ids.length > 0 && (
        <p class="nothing">These studies have no target in common; choose studies of the same units.</p>
      )}
      {titles.length > 0 && <Overlay methods={methods} titles={titles} unit={unit} />}
      {titles.length > 0 && <ScoreTable methods={methods} titles={titles} naturals={naturals} unit={unit} />}
      {titles.length > 0 && <Pictures methods={methods} titles={titles} naturals={naturals} />}
    </>
  );
}

/** The methods to show; at least one stays. */
function Shown({ all, without }: { all: readonly Method[]; without: readonly string[] }) {
  const toggle = (name: string) => {
    const next = all
      .map((method) => method.name)
      .filter((other) => without.includes(other) !== (other === name));
    if (next.length < all.length) set({ without: next.join(",") || "-" });
  };
  return (
    <div class="tools" role="group" aria-label="Methods shown">
      {all.map(({ key, name }) => (
        <button type="button" key={key} aria-pressed={!without.includes(name)} onClick={() => toggle(name)}>
          {without.includes(name) ? "○" : "●"} {name}
        </button>
      ))}
    </div>
  );
}

/** The members of a group: their names by the ids of their studies. */
async function membersOf(group: string): Promise<ReadonlyMap<string, string>> {
  if (!group) return new Map();
  const { members } = await calls.oneGroup(group);
  return new Map(members.flatMap(({ name, study }) => (study ? [[study.id, name] as const] : [])));
}

/** The methods that members are named after, by the ids of their studies. */
function namesOf(members: ReadonlyMap<string, string> | null): ReadonlyMap<string, string> {
  const found = [...(members ?? [])].map(([id, name]) => [id, methodIn(name)] as const);
  return new Map(found.filter((pair): pair is [string, string] => pair[1] !== null));
}

const COSTS = " A forward pass costs 1 query-equivalent, a forward and a backward pass cost 2.";

function Overlay({ methods, titles, unit }: { methods: readonly Method[]; titles: readonly string[]; unit: string }) {
  const [chosen, choose] = useState("");
  const versions = methods.flatMap(({ runs }) => runs.map((run) => `${run.study.id} ${run.sequence} ${run.curves?.rows.length}`));
  const key = [chosen, ...versions].join(" ");
  const { x, lines } = useMemo(() => overlay(methods, chosen ? [chosen] : titles), [key, titles]);
  const options: [string, string][] = [["", `mean of ${plural(titles.length, "target")}`], ...titles.map((title): [string, string] => [title, title])];
  return (
    <section class="panel">
      <div class="tools">
        <h2>Best score so far</h2>
        <Select label="Of" value={chosen} options={options} onChange={choose} />
      </div>
      <Chart
        x={x}
        lines={lines}
        marks={[]}
        xLabel={`${unit} per target`}
        yLabel="score"
        summary={`Best score so far of ${methods.map(({ name }) => name).join(", ")}`}
      />
      <p class="soft caption">Thick lines are means over the seeds of a method, thin lines are its single studies.{unit !== "queries" && COSTS}</p>
    </section>
  );
}

function overlay(methods: readonly Method[], titles: readonly string[]): { x: number[]; lines: Line[] } {
  const x = grid(methods);
  const thin: Line[] = [];
  const thick: Line[] = [];
  methods.forEach(({ key, name, runs }, place) => {
    const style = place % STYLES;
    const begun = runs.filter((run) => run.curves?.rows.length);
    const curves = begun.map((run) => meanCurve(run, titles, x));
    if (begun.length > 1) {
      begun.forEach((run, index) =>
        thin.push({ key: run.study.id, label: run.study.id, values: curves[index] ?? [], style, thin: true }),
      );
    }
    thick.push({ key, label: name, values: averaged(curves), style });
  });
  return { x, lines: [...thin, ...thick] };
}
