/** One study: curves, the best stimuli as they improve, accounts and events. */

import { useEffect, useState } from "preact/hooks";
import type { Study, Target } from "../../api/types";
import { cost, count, score } from "../../format/numbers";
import { duration } from "../../format/times";
import { hasEnded } from "../../format/words";
import { Facts, Labels, State } from "../../parts/small";
import { useKeys } from "../../state/keys";
import { useCurvesOf, useStudies } from "../../state/live";
import { problems } from "../../state/problems";
import type { Detail } from "../../state/reducer";
import { route, set, to } from "../../state/route";
import { useSignal } from "../../state/signal";
import { useStore } from "../../state/store";
import { Accounts, Optimizer, Specification } from "./accounts";
import { successFacts } from "./attack";
import { CurvePanel } from "./curve_panel";
import { Events } from "./events";
import { Slider } from "./slider";
import { Steer } from "./steer";
import { TargetPanel } from "./target_panel";
import { Targets } from "./targets";

export function StudyPage({ id }: { id: string }) {
  useStudies([id]);
  const detail = useStore((state) => state.details[id]);
  const missing = useSignal(problems).some((problem) => problem.of === id && problem.missing);
  useEffect(() => {
    document.title = `${id} · blackbox_am`;
  }, [id]);
  if (!detail) {
    return (
      <>
        <div class="heading">
          <h1>{id}</h1>
        </div>
        <p class="nothing">{missing ? "The server has no study of this name." : "Reading the study…"}</p>
      </>
    );
  }
  return <Content detail={detail} />;
}

function Content({ detail }: { detail: Detail }) {
  const { study, curves } = detail;
  const { query } = useSignal(route);
  const [generation, setGeneration] = useState<number | null>(null);
  const pinned = (query.get("pin") ?? "").split(",").filter(Boolean).map(Number);
  const chosen = Number(query.get("t") ?? study.targets[0]?.target ?? 0);
  const target = study.targets.find((one) => one.target === chosen) ?? study.targets[0];
  useCurvesOf(detail, target ? [target.target, ...pinned] : []);
  const pin = () => target && set({ pin: toggled(pinned, target.target).join(",") });
  const move = (step: number) => {
    const place = study.targets.findIndex((one) => one.target === target?.target) + step;
    const next = study.targets[place];
    if (next) set({ t: next.target });
  };
  useKeys({ j: () => move(1), k: () => move(-1), p: pin, l: () => setGeneration(null) });

  return (
    <>
      <Heading study={study} />
      <Numbers study={study} />
      <div class="split">
        <CurvePanel
          study={study}
          curves={curves}
          target={target}
          pinned={pinned}
          generation={generation}
        />
        {target && (
          <TargetPanel study={study} target={target} pinned={pinned.includes(target.target)} pin={pin} generation={generation} curves={curves} />
        )}
      </div>
      <section>
        <Targets study={study} curves={curves} chosen={target?.target ?? -1} generation={generation}>
          <Slider study={study} generation={generation} onChange={setGeneration} />
        </Targets>
      </section>
      <div class="columns">
        <Accounts study={study} />
        <Optimizer study={study} />
        <Specification study={study} />
      </div>
      <Events detail={detail} />
    </>
  );
}

function toggled(numbers: readonly number[], number: number): number[] {
  return numbers.includes(number) ? numbers.filter((other) => other !== number) : [...numbers, number];
}

function Heading({ study }: { study: Study }) {
  const { id, message, warning } = study;
  return (
    <div class="heading">
      <h1>{id}</h1>
      <State state={study.state} why={study.stop_reason} />
      <Labels labels={study.labels} />
      {study.group && <a href={to(["group", study.group])}>group {study.group}</a>}
      <Steer study={study} />
      {message && <p class={study.state === "failed" ? "bad" : "soft"}>{message}</p>}
      {warning && <p class="warning">Note: {warning}</p>}
    </div>
  );
}

function Numbers({ study }: { study: Study }) {
  const budget = Number((study.spec["budget"] as { queries_per_target?: number } | undefined)?.queries_per_target ?? 0);
  const perTarget = Math.max(0, ...study.targets.map((target) => target.queries));
  const done = study.targets.filter(isFinished).length;
  const rate = study.seconds > 0 ? study.search_rows / study.seconds : null;
  return (
    <Facts
      rows={[
        ...successFacts(study),
        ["Best score", <strong>{score(study.best_score)}</strong>],
        ["Targets", done && !hasEnded(study.state) ? `${count(study.target_count)}, ${done} finished` : count(study.target_count)],
        ["Generation", count(study.generation)],
        ["Queries per target", <Progress value={perTarget} most={budget} />],
        ["Rows", count(study.search_rows)],
        ["Rows per second", score(rate, 3)],
        ["Time searching", duration(study.seconds)],
        ["Cost", cost(study.cost)],
      ]}
    />
  );
}

function isFinished(target: Target): boolean {
  return target.finished;
}

function Progress({ value, most }: { value: number; most: number }) {
  if (!most) return <>{count(value)}</>;
  return (
    <>
      {count(value)} <span class="soft">of {count(most)}</span>
      <progress value={value} max={most} aria-label="Budget spent" />
    </>
  );
}
