/** All targets of a study as tiles that improve while one looks. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Curves, Study, Target } from "../../api/types";
import { count, plural, ratio, score } from "../../format/numbers";
import { Search, Select } from "../../parts/small";
import { Stimulus } from "../../parts/stimulus";
import { Windowed } from "../../parts/windowed";
import { set } from "../../state/route";
import { changesInputs, hasCriterion, InputPicture, nameOf, succeeded } from "./attack";
import { scoreAt } from "./history";

type Order = "target" | "score" | "ratio";

interface TargetsProps {
  study: Study;
  curves: Curves | null;
  chosen: number;
  generation: number | null;
  children: ComponentChildren;
}

const SIZE = 112;

export function Targets({ study, curves, chosen, generation, children }: TargetsProps) {
  const [order, setOrder] = useState<Order>("target");
  const [text, setText] = useState("");
  const targets = ordered(study.targets, order, text, (target) => nameOf(study, target));
  const attack = changesInputs(study);
  const hasNatural = study.targets.some((target) => target.natural);
  const options: [Order, string][] = [
    ["target", "as created"],
    ["score", "best score"],
  ];
  if (hasNatural) options.push(["ratio", "× natural maximum"]);
  return (
    <>
      <div class="tools">
        <h2>{attack ? "Original, changed, difference" : "Best stimuli"}</h2>
        {children}
        {study.targets.length > 8 && (
          <>
            <Search label="Filter targets" value={text} onChange={setText} />
            <Select label="Order" value={order} options={options} onChange={(next) => setOrder(next as Order)} />
          </>
        )}
      </div>
      <Windowed
        items={targets}
        tileWidth={attack ? 3 * SIZE + 40 : SIZE + 16}
        tileHeight={SIZE + 58}
        label={`${count(targets.length)} targets`}
        keyOf={(target) => target.target}
        render={(target) => (
          <Tile study={study} target={target} best={scoreAt(curves, target, generation)} generation={generation} chosen={target.target === chosen} />
        )}
      />
    </>
  );
}

interface TileProps {
  study: Study;
  target: Target;
  best: number | null;
  generation: number | null;
  chosen: boolean;
}

function Tile({ study, target, best, generation, chosen }: TileProps) {
  const maximum = target.natural?.maximum ?? null;
  const times = maximum !== null && maximum > 0 && best !== null ? best / maximum : null;
  const attack = changesInputs(study);
  const stimulus = (
    <Stimulus
      study={study.id}
      target={target.target}
      title={target.title}
      kind={study.stimulus_kind}
      best={target.best_score}
      size={SIZE}
      generation={generation}
    />
  );
  return (
    <button type="button" class="tile" aria-pressed={chosen} onClick={() => set({ t: target.target })} title={target.title}>
      {attack ? (
        <span class="three">
          <InputPicture study={study} target={target} what="input" size={SIZE} />
          {stimulus}
          <InputPicture study={study} target={target} what="change" size={SIZE} />
        </span>
      ) : (
        stimulus
      )}
      <span class="title">
        {nameOf(study, target)}
        {hasCriterion(study) && target.finished && (
          <span class={succeeded(target) ? "" : "soft"}> {succeeded(target) ? "✓ succeeded" : "✕ failed"}, {plural(target.queries, "query", "queries")}</span>
        )}
      </span>
      <span class="line">
        <strong>{score(best)}</strong>
        <span class="soft">{times !== null ? ratio(times) : target.finished && !hasCriterion(study) ? "✓" : ""}</span>
      </span>
    </button>
  );
}

function ordered(targets: readonly Target[], order: Order, text: string, name: (target: Target) => string): Target[] {
  const word = text.trim().toLowerCase();
  const found = targets.filter((target) => `${target.title} ${name(target)}`.toLowerCase().includes(word));
  if (order === "target") return found;
  const value = (target: Target) =>
    (order === "score" ? target.best_score : target.natural?.ratio) ?? Number.NEGATIVE_INFINITY;
  return found.sort((one, other) => value(other) - value(one));
}
