/** The selected target: its best stimulus beside the best natural image, and its numbers. */

import * as calls from "../../api/calls";
import type { Curves, Study, Target } from "../../api/types";
import { count, percent, plusMinus, ratio, score } from "../../format/numbers";
import { reason } from "../../format/words";
import { Picture } from "../../parts/picture";
import { Facts } from "../../parts/small";
import { Stimulus, useBest } from "../../parts/stimulus";
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
  return (
    <section class="panel target">
      <div class="tools">
        <h2>{target.title}</h2>
        <button type="button" aria-pressed={pinned} onClick={pin} title="Keep its curve labelled (p)">
          Pin
        </button>
      </div>
      <div class="pair">
        <figure>
          <Stimulus
            key={target.target}
            study={study.id}
            target={target.target}
            title={target.title}
            kind={study.stimulus_kind}
            best={target.best_score}
            size={176}
            generation={generation}
            eager
          />
          <figcaption>
            {generation === null ? "best" : `after generation ${count(generation)}`} <strong>{score(best)}</strong>
          </figcaption>
        </figure>
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
      <Facts rows={generation === null ? rowsNow(target, found) : rowsThen(target, best)} />
    </section>
  );
}

type Rows = (readonly [string, string])[];

/** What is known of an earlier generation. */
function rowsThen({ natural }: Target, best: number | null): Rows {
  const maximum = natural?.maximum ?? null;
  if (best === null || maximum === null || maximum <= 0) return [];
  return [["× natural maximum", ratio(best / maximum)]];
}

function rowsNow(target: Target, found: ReturnType<typeof useBest>): Rows {
  const { natural, recheck } = target;
  const rows: Rows = [["Queries", count(target.queries)]];
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
