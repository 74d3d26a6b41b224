/** The final scores of methods, with intervals over targets and seeds. */

import { useMemo, useState } from "preact/hooks";
import { count, score } from "../../format/numbers";
import { Choice } from "../../parts/small";
import { to } from "../../state/route";
import { rowOf } from "./gains";
import { commonQueries, costOf, type Method, type Naturals, scores } from "./methods";
import type { Interval } from "./statistics";

type When = "equal" | "end";

interface ScoreTableProps {
  methods: readonly Method[];
  titles: readonly string[];
  naturals: Naturals;
  /** What is counted: queries, or query-equivalents. */
  unit: string;
}

export function ScoreTable({ methods, titles, naturals, unit }: ScoreTableProps) {
  const runs = methods.flatMap((method) => method.runs);
  const common = commonQueries(runs);
  const noisy = runs.some(({ study }) => study.noisy);
  const [when, setWhen] = useState<When | null>(null);
  const chosen = when ?? (noisy ? "end" : "equal");
  const queries = chosen === "equal" ? common : null;
  const values = methods.map((method) => scores(method, titles, { relative: false, queries, naturals }));
  const relative = methods.map((method) => scores(method, titles, { relative: true, queries, naturals }));
  const key = JSON.stringify([values, relative]);
  const rows = useMemo(() => values.map((table, place) => rowOf(table, relative[place] ?? null, values[0] ?? null)), [key]);
  const best = Math.max(...rows.map((row) => row.mean?.mean ?? Number.NEGATIVE_INFINITY));
  const hasNatural = rows.some((row) => row.natural);
  const [reference] = methods;
  return (
    <section>
      <div class="tools">
        <h2>Scores</h2>
        {common !== null && (
          <Choice
            label="When"
            value={chosen}
            options={[
              ["equal", `After ${count(common)} ${unit} per target`],
              ["end", "As they stand"],
            ]}
            onChange={setWhen}
          />
        )}
      </div>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Method</th>
              <th scope="col">Studies</th>
              <th scope="col" class="number">{unit === "queries" ? "Queries" : "Query-equivalents"} per target</th>
              <th scope="col" class="number">Mean best score</th>
              <th scope="col" class="number">95 % interval</th>
              {hasNatural && (
                <th scope="col" class="number">
                  × natural maximum
                </th>
              )}
              <th scope="col" class="number">Difference to {reference?.name}</th>
              <th scope="col" class="number">Better / worse</th>
            </tr>
          </thead>
          <tbody>
            {methods.map((method, place) => {
              const row = rows[place];
              return (
                <tr key={method.key}>
                  <th scope="row">{method.name}</th>
                  <td>
                    <Runs method={method} scored={values[place]?.length ?? 0} />
                  </td>
                  <td class="number">{count(queries ?? spent(method))}</td>
                  <td class="number strong">
                    {row?.mean && row.mean.mean === best && methods.length > 1 && <span title="highest mean">▲ </span>}
                    {score(row?.mean?.mean)}
                  </td>
                  <td class="number">{range(row?.mean ?? null)}</td>
                  {hasNatural && (
                    <td class="number">
                      {score(row?.natural?.mean, 3)} <span class="soft">{range(row?.natural ?? null, 3)}</span>
                    </td>
                  )}
                  <td class="number">
                    {place === 0 ? <span class="soft">reference</span> : <>{score(row?.gain?.mean, 3)} <span class="soft">{range(row?.gain ?? null, 3)}</span></>}
                  </td>
                  <td class="number">{place === 0 || !row ? "" : `${row.better} / ${row.worse}`}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <p class="soft caption">
        Intervals are bootstrap intervals over {count(titles.length)} targets and the seeds of each method. Better and worse count
        targets, by their means over seeds.
        {common !== null && chosen === "end" && " The methods have spent different numbers of queries: more queries alone raise a score."}
        {noisy && chosen === "equal" && " The oracle is noisy: the best of noisy values is above the truth."}
      </p>
    </section>
  );
}

function Runs({ method, scored }: { method: Method; scored: number }) {
  return (
    <details>
      <summary>{scored < method.runs.length ? `${scored} of ${method.runs.length}` : scored}</summary>
      <ul>
        {method.runs.map(({ study }) => (
          <li key={study.id}>
            <a href={to(["study", study.id])}>{study.id}</a>
          </li>
        ))}
      </ul>
    </details>
  );
}

function spent(method: Method): number {
  return Math.max(0, ...method.runs.flatMap(({ study }) => study.targets.map((target) => target.queries * costOf(study))));
}

function range(found: Interval | null, digits = 4): string {
  return found ? `${score(found.low, digits)} to ${score(found.high, digits)}` : "";
}
