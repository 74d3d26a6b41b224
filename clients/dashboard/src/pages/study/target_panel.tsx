/** The selected target: its best stimulus beside the best natural image, and its numbers. */

import * as calls from "../../api/calls";
import type { Curves, Study, Target } from "../../api/types";
import { count, percent, plusMinus, ratio, score } from "../../format/numbers";
import { reason } from "../../format/words";
import { Picture } from "../../parts/picture";
import { Facts } from "../../parts/small";
import { Stimulus, useBest } from "../../parts/stimulus";
import { changesInputs, InputPicture, nameOf, succeeded, successRows } from "./attack";
import { scoreAt } from "./history";

interface TargetPanelProps {
  study: Study;
  target: Target;
  pinned: boolean;
  pin: () => void;
  curves: Curves | null;
  generation: number | null;
}

export function TargetPanel({ study, target, pinned, pin, curves, generation }: TargetPanelProps) {
  const { natural } = target;
  const best = scoreAt(curves, target, generation);
  const found = useBest(study.id, target.target, target.best_score);
  const attack = changesInputs(study);
  const size = attack ? 112 : 176;
  return (
    <section class="panel target">
      <div class="tools">
        <h2 title={target.title}>{nameOf(study, target)}</h2>
        <button type="button" aria-pressed={pinned} onClick={pin} title="Keep its curve labelled (p)">
          Pin
        </button>
      </div>
      <div class="pair">
        {attack && <Beside study={study} target={target} what="input" size={size} word="original" />}
        <figure>
          <Stimulus
            key={target.target}
            study={study.id}
            target={target.target}
            title={target.title}
            kind={study.stimulus_kind}
            best={target.best_score}
            size={size}
            generation={generation}
            eager
          />
          <figcaption>
            {generation === null ? (attack ? (succeeded(target) ? "adversarial" : "changed") : "best") : `after generation ${count(generation)}`} <strong>{score(best)}</strong>
          </figcaption>
        </figure>
        {attack && <Beside study={study} target={target} what="change" size={size} word="difference" />}
        {natural && (
          <figure>
            <Picture
              key={target.target}
              src={calls.naturalPicture(study.id, target.target, 256)}
              alt={`Natural image that excites ${target.title} most`}
              size={176}
              eager
            />
            <figcaption>
              best natural <strong>{score(natural.maximum)}</strong>
            </figcaption>
          </figure>
        )}
      </div>
      <Facts rows={generation === null ? rowsNow(study, target, found) : rowsThen(target, best)} />
    </section>
  );
}

function Beside(props: { study: Study; target: Target; what: "input" | "change"; size: number; word: string }) {
  const { word, ...picture } = props;
  return (
    <figure>
      <InputPicture key={`${picture.target.target} ${picture.what}`} {...picture} eager />
      <figcaption>{word}</figcaption>
    </figure>
  );
}

type Rows = (readonly [string, string])[];

/** What is known of an earlier generation. */
function rowsThen({ natural }: Target, best: number | null): Rows {
  const maximum = natural?.maximum ?? null;
  if (best === null || maximum === null || maximum <= 0) return [];
  return [["× natural maximum", ratio(best / maximum)]];
}

function rowsNow(study: Study, target: Target, found: ReturnType<typeof useBest>): Rows {
  const { natural, recheck } = target;
  const rows: Rows = [["Queries", count(target.queries)], ...successRows(study, target, found)];
  if (found) rows.push(["Found in generation", `${count(found.generation)}, row ${count(found.row)}`]);
  if (natural) {
    rows.push(["× natural maximum", ratio(natural.ratio)]);
    rows.push(["Above natural images", `${percent(natural.rank)} of ${count(natural.images)}`]);
    rows.push(["Standard deviations", score(natural.standardised, 3)]);
  }
  if (recheck?.row) rows.push(["Measured again", plusMinus(recheck.row.mean, recheck.row.standard_error)]);
  if (recheck?.centre) rows.push(["Centre of the search", plusMinus(recheck.centre.mean, recheck.centre.standard_error)]);
  rows.push(["State", target.finished ? `finished, ${reason(target.stop_reason) || "ended"}` : "searching"]);
  return rows;
}
