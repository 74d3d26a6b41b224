/** A table of studies. */

import type { Summary } from "../api/types";
import { cost, count, percent, score } from "../format/numbers";
import { ago, dateTime, duration } from "../format/times";
import { Labels, State } from "../parts/small";
import { to } from "../state/route";
import { NO_ORACLE } from "./filtering";

interface StudyTableProps {
  rows: readonly Summary[];
  now: number;
  /** Place of the row that the keyboard is at. */
  marked?: number;
  chosen?: readonly string[];
  /** Chooses a study for a comparison; without it there is no such column. */
  toggle?: (id: string) => void;
}

export function StudyTable({ rows, now, marked = -1, chosen = [], toggle }: StudyTableProps) {
  return (
    <div class="scroll">
      <table class="studies">
        <thead>
          <tr>
            {toggle && (
              <th scope="col">
                <span class="hidden">Compare</span>
              </th>
            )}
            <th scope="col">Study</th>
            <th scope="col">State</th>
            <th scope="col" class="extra">Oracle</th>
            <th scope="col" class="extra">Generator</th>
            <th scope="col" class="extra">Optimizer</th>
            <th scope="col" class="number extra">Targets</th>
            <th scope="col" class="number">Best score</th>
            <th scope="col" class="number extra">Rows</th>
            <th scope="col" class="number">Of budget</th>
            <th scope="col" class="number extra">Cost</th>
            <th scope="col" class="number extra">Time</th>
            <th scope="col" class="number extra">Age</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((study, place) => (
            <tr key={study.id} class={place === marked ? "marked" : ""}>
              {toggle && (
                <td>
                  <input
                    type="checkbox"
                    checked={chosen.includes(study.id)}
                    onChange={() => toggle(study.id)}
                    aria-label={`Compare ${study.id}`}
                  />
                </td>
              )}
              <Cells study={study} now={now} />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cells({ study, now }: { study: Summary; now: number }) {
  return (
    <>
      <th scope="row">
        <a href={to(["study", study.id])}>{study.id}</a> <Labels labels={study.labels} />
      </th>
      <td title={study.message}>
        <State state={study.state} why={study.stop_reason} />
      </td>
      <td class="extra">{study.oracle || <span class="soft">{NO_ORACLE}</span>}</td>
      <td class="extra">{study.generator}</td>
      <td class="extra">{study.optimizer}</td>
      <td class="number extra">{count(study.target_count)}</td>
      <td class="number strong">{score(study.best_score)}</td>
      <td class="number extra">{count(study.search_rows)}</td>
      <td class="number">{percent(spent(study))}</td>
      <td class="number extra">{cost(study.cost)}</td>
      <td class="number extra">{duration(study.seconds)}</td>
      <td class="number extra" title={dateTime(study.create_time)}>
        {ago(study.create_time, now)}
      </td>
    </>
  );
}

/** The fraction of the budget that is spent; null where it is not known. */
function spent(study: Summary): number | null {
  const most = (study.queries_per_target ?? 0) * study.target_count;
  return most ? Math.min(1, study.search_rows / most) : null;
}
