/** The curves of all targets, with natural images as levels. */

import { useMemo, useState } from "preact/hooks";
import type { Curves, Study, Target } from "../../api/types";
import { Chart, type Line, type Mark } from "../../charts/chart";
import { STYLES } from "../../charts/palette";
import { count, plural, score } from "../../format/numbers";
import { Choice } from "../../parts/small";
import { changesInputs, inputOf } from "./attack";
import { placeOf } from "../../state/curves";

type Scale = "score" | "natural";
type Axis = "rows" | "generation";

interface CurvePanelProps {
  study: Study;
  curves: Curves | null;
  target: Target | undefined;
  pinned: readonly number[];
  generation: number | null;
}

export function CurvePanel({ study, curves, target, pinned, generation }: CurvePanelProps) {
  const [scale, setScale] = useState<Scale>("score");
  const [axis, setAxis] = useState<Axis>("rows");
  const shown = useMemo(
    () => curves && lines(study, curves, target?.target ?? -1, pinned, scale),
    [curves, target?.target, pinned.join(","), scale],
  );
  const hasNatural = curves?.natural_maximum.some((value) => value !== null && value > 0) ?? false;
  const x = curves ? (axis === "rows" ? curves.rows : curves.generations) : [];
  const at = curves && generation !== null ? (x[placeOf(curves.generations, generation)] ?? null) : null;
  return (
    <section class="panel">
      <div class="tools">
        <h2>Best score so far</h2>
        {hasNatural && (
          <Choice
            label="Scale"
            value={scale}
            options={[
              ["score", "Score"],
              ["natural", "× natural maximum"],
            ]}
            onChange={setScale}
          />
        )}
        <Choice
          label="Horizontal axis"
          value={axis}
          options={[
            ["rows", "Rows"],
            ["generation", "Generations"],
          ]}
          onChange={setAxis}
        />
      </div>
      {curves && shown && x.length > 0 && (
        <>
          <Chart
            x={x}
            lines={shown}
            marks={marks(curves, target, scale)}
            xLabel={axis === "rows" ? "rows" : "generations"}
            yLabel={scale === "score" ? "score" : "score / natural maximum"}
            at={at}
            summary={described(study, curves)}
          />
          <p class="soft caption">{caption(study, curves)}</p>
        </>
      )}
      {!x.length && <p class="nothing">{curves ? "No generation is complete yet." : "Reading the curves…"}</p>}
    </section>
  );
}

/** The selected target's mean, its curve and pinned ones; the others in the background. */
function lines(study: Study, curves: Curves, chosen: number, pinned: readonly number[], scale: Scale): Line[] {
  const few = curves.targets.length <= STYLES;
  const marked = few ? curves.targets : [chosen, ...pinned.filter((target) => target !== chosen)];
  const back: Line[] = [];
  const front: Line[] = [];
  curves.targets.forEach((target, index) => {
    const place = marked.indexOf(target);
    const divisor = scale === "natural" ? (curves.natural_maximum[index] ?? null) : 1;
    const style = place >= 0 ? place % STYLES : null;
    const label = changesInputs(study) ? `input ${inputOf(study, target)}` : (curves.titles[index] ?? `target ${target}`);
    const values = scaled(curves.best_so_far[index] ?? [], divisor);
    (style === null ? back : front).push({ key: `${target}`, label, values, style });
    if (target === chosen) {
      const mean = scaled(curves.mean[index] ?? [], divisor);
      back.push({ key: `${target} mean`, label: `${label}, mean of each generation`, values: mean, style, thin: true });
    }
  });
  return [...back, ...front];
}

function scaled(values: readonly (number | null)[], divisor: number | null): readonly (number | null)[] {
  if (divisor === 1) return values;
  if (divisor === null || divisor <= 0) return values.map(() => null);
  return values.map((value) => (value === null ? null : value / divisor));
}

function marks(curves: Curves, target: Target | undefined, scale: Scale): Mark[] {
  if (scale === "natural") return [{ label: "natural maximum", value: 1, style: null }];
  const index = curves.targets.indexOf(target?.target ?? -1);
  const maximum = curves.natural_maximum[index] ?? target?.natural?.maximum ?? null;
  const mean = curves.natural_mean?.[index] ?? target?.natural?.mean ?? null;
  const found: Mark[] = [];
  if (maximum !== null) found.push({ label: "natural maximum", value: maximum, style: null });
  if (mean !== null) found.push({ label: "natural mean", value: mean, style: null });
  return found;
}

function described(study: Study, curves: Curves): string {
  return `Best score of ${plural(curves.targets.length, "target")} over ${count(curves.rows.at(-1) ?? 0)} rows; the best is ${score(study.best_score)}.`;
}

function caption(study: Study, curves: Curves): string {
  const some = curves.targets.length < study.target_count ? `${curves.targets.length} of ${count(study.target_count)} targets: some evenly spaced, and those that you chose. ` : "";
  return `${some}The thin line is the mean score of each generation of the selected target. Drag to enlarge, double-click to see all.`;
}
