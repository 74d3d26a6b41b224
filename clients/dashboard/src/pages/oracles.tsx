/** The oracles and generators of the server. */

import * as calls from "../api/calls";
import type { GeneratorRow, OracleRow } from "../api/types";
import { shape } from "../format/numbers";
import { useRead } from "../state/reading";
import { to } from "../state/route";

export function OraclesPage() {
  const oracles = useRead(calls.oracles, []);
  const generators = useRead(calls.generators, []);
  return (
    <>
      <div class="heading">
        <h1>Oracles</h1>
      </div>
      {oracles ? <OracleTable oracles={oracles} /> : <p class="nothing">Reading the oracles…</p>}
      <section>
        <h2>Generators</h2>
        {generators ? <GeneratorTable generators={generators} /> : <p class="nothing">Reading the generators…</p>}
      </section>
    </>
  );
}

function OracleTable({ oracles }: { oracles: readonly OracleRow[] }) {
  if (!oracles.length) return <p class="nothing">The server has no oracle; clients measure its studies.</p>;
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Oracle</th>
            <th scope="col">Kind</th>
            <th scope="col">Stimulus</th>
            <th scope="col">Can</th>
            <th scope="col">Studies</th>
          </tr>
        </thead>
        <tbody>
          {oracles.map((oracle) => (
            <tr key={oracle.name}>
              <th scope="row">{oracle.problem ? oracle.name : <a href={to(["oracle", oracle.name])}>{oracle.name}</a>}</th>
              <td>{[oracle.kind, ...(oracle.wrappers ?? [])].filter(Boolean).join(", in ")}</td>
              <td>{shape(oracle.stimulus_shape ?? [])}</td>
              <td>{oracle.problem ? <span class="bad">{oracle.problem}</span> : capabilities(oracle)}</td>
              <td>
                <a href={to([], { oracle: oracle.name })}>studies</a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function capabilities(oracle: OracleRow): string {
  return (oracle.capabilities ?? []).map((name) => name.toLowerCase()).join(", ");
}

function GeneratorTable({ generators }: { generators: readonly GeneratorRow[] }) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Generator</th>
            <th scope="col">Stimulus</th>
            <th scope="col">What it is</th>
            <th scope="col">Licence</th>
          </tr>
        </thead>
        <tbody>
          {generators.map((generator) => (
            <tr key={generator.name}>
              <th scope="row">{generator.name}</th>
              <td class="keep">{shape(generator.stimulus_shape ?? [])}</td>
              <td class="prose">{generator.problem ? <span class="bad">{generator.problem}</span> : generator.summary}</td>
              <td>{generator.licence}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
