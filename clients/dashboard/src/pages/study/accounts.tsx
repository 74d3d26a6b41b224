/** What a study cost, how it searches, and what it was created with. */

import type { Json, JsonObject, Study } from "../../api/types";
import { cost, count, shape } from "../../format/numbers";
import { dateTime } from "../../format/times";
import { inside, spaced, value } from "../../format/words";
import { to } from "../../state/route";

export function Accounts({ study }: { study: Study }) {
  const rows = Object.entries(study.accounting).filter(
    ([name, number]) => number !== 0 || name === "search_rows" || name === "oracle_rows",
  );
  return (
    <section>
      <h2>Accounts</h2>
      <table class="plain">
        <tbody>
          {rows.map(([name, number]) => (
            <tr key={name}>
              <th scope="row">{spaced(name)}</th>
              <td class="number">{name === "cost" ? cost(number) : count(number)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function Optimizer({ study }: { study: Study }) {
  const { name, parameters } = study.optimizer_settled;
  const asked = inside(study.spec, "optimizer")["name"] ?? "auto";
  return (
    <section>
      <h2>Optimizer</h2>
      <p>
        <strong>{name}</strong>
        {asked !== name && <span class="soft">, chosen by {value(asked)}</span>}
      </p>
      <Parameters content={parameters} />
    </section>
  );
}

export function Specification({ study }: { study: Study }) {
  const { spec } = study;
  const budget = inside(spec, "budget");
  const generator = inside(spec, "generator", "parameters");
  const rows: [string, Json | undefined][] = [
    ["seed", study.seed],
    ["created", dateTime(study.create_time)],
    ["stimulus", `${study.stimulus_kind}, ${shape(study.stimulus_shape)}`],
    ["candidates of a target", study.population],
    ["noisy oracle", study.noisy],
    ...named("budget", budget),
    ...named("generator", generator),
  ];
  for (const part of ["baseline", "transforms", "start", "criteria", "keep_latents"]) {
    if (spec[part] !== undefined && spec[part] !== null) rows.push([spaced(part), spec[part]]);
  }
  return (
    <section>
      <h2>Specification</h2>
      <p>
        {study.oracle ? <a href={to(["oracle", study.oracle])}>{study.oracle}</a> : "clients measure"} with{" "}
        {study.generator || "a space without generator"}
      </p>
      <Parameters content={Object.fromEntries(rows.filter(isSet))} />
      <details>
        <summary>All as JSON</summary>
        <pre>{JSON.stringify(spec, null, 2)}</pre>
      </details>
    </section>
  );
}

function named(part: string, object: JsonObject): [string, Json | undefined][] {
  return Object.entries(object).map(([key, content]) => [`${part}: ${spaced(key)}`, content]);
}

function isSet(row: [string, Json | undefined]): row is [string, Json] {
  const content = row[1];
  return content !== null && content !== undefined && !(Array.isArray(content) && !content.length);
}

/** Longer values may take several lines. */
const SHORT = 26;

function Parameters({ content }: { content: JsonObject }) {
  return (
    <table class="plain">
      <tbody>
        {Object.entries(content).map(([name, entry]) => {
          const text = value(entry);
          return (
            <tr key={name}>
              <th scope="row">{spaced(name)}</th>
              <td class={text.length > SHORT ? "number long" : "number"}>{text}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
