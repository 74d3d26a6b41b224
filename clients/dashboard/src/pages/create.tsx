/** Creates a study, where the server allows changes. */

import { useState } from "preact/hooks";
import * as calls from "../api/calls";
import { sentence } from "../api/http";
import type { GeneratorRow, OracleRow } from "../api/types";
import { shape } from "../format/numbers";
import { withToken } from "../state/changes";
import { useRead } from "../state/reading";
import { go } from "../state/route";
import { store, useStore } from "../state/store";
import { type Asked, EMPTY, specOf } from "./spec";

export function CreatePage() {
  const allowed = useStore((state) => state.server?.changes_allowed);
  const oracles = useRead(calls.oracles, []);
  const generators = useRead(calls.generators, []);
  return (
    <>
      <div class="heading">
        <h1>New study</h1>
      </div>
      {allowed === false && (
        <p class="nothing">
          This dashboard is read-only. Start it with <code>--allow-changes</code> to create studies here.
        </p>
      )}
      {allowed && oracles && generators && <Form oracles={oracles} generators={generators} />}
    </>
  );
}

function Form({ oracles, generators }: { oracles: readonly OracleRow[]; generators: readonly GeneratorRow[] }) {
  const usable = oracles.filter((one) => !one.problem);
  const [asked, set] = useState<Asked>({ ...EMPTY, oracle: usable[0]?.name ?? "" });
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const oracle = usable.find((one) => one.name === asked.oracle);
  const fitting = generators.filter((one) => !one.problem && fits(one, oracle));
  const generator = fitting.some((one) => one.name === asked.generator) ? asked.generator : (fitting[0]?.name ?? "");
  const spec = specOf({ ...asked, generator });
  const change = (part: Partial<Asked>) => set({ ...asked, ...part });

  const submit = (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    withToken(() => calls.create(asked.id, spec))
      .then((study) => {
        store.dispatch({ do: "loaded", study });
        go(["study", study.id]);
      })
      .catch((error: unknown) => setProblem(sentence(error)))
      .finally(() => setBusy(false));
  };

  return (
    <form class="create" onSubmit={submit}>
      <label class="field">
        <span>Oracle</span>
        <select name="oracle" value={asked.oracle} onChange={(event) => change({ oracle: event.currentTarget.value })}>
          {usable.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name} ({shape(one.stimulus_shape)})
            </option>
          ))}
          <option value="">none: clients measure</option>
        </select>
      </label>
      <label class="field">
        <span>Generator</span>
        <select name="generator" value={generator} onChange={(event) => change({ generator: event.currentTarget.value })}>
          {fitting.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name}
            </option>
          ))}
        </select>
      </label>
      <label class="field wide">
        <span>Targets, one unit a line, such as head:3 or layer2:5@center</span>
        <textarea name="targets" rows={5} required spellcheck={false} value={asked.targets} onInput={(event) => change({ targets: event.currentTarget.value })} />
      </label>
      <label class="field">
        <span>Queries per target</span>
        <input name="queries" type="number" min={1} required value={asked.queries} onInput={(event) => change({ queries: event.currentTarget.valueAsNumber })} />
      </label>
      <label class="field">
        <span>Optimizer</span>
        <input name="optimizer" value={asked.optimizer} placeholder="auto" spellcheck={false} onInput={(event) => change({ optimizer: event.currentTarget.value })} />
      </label>
      <label class="field">
        <span>Seed</span>
        <input name="seed" inputMode="numeric" pattern="-?[0-9]*" value={asked.seed} placeholder="drawn by the server" onInput={(event) => change({ seed: event.currentTarget.value })} />
      </label>
      <label class="field">
        <span>Natural images</span>
        <input name="baseline" value={asked.baseline} placeholder="none; such as shipped" spellcheck={false} onInput={(event) => change({ baseline: event.currentTarget.value })} />
      </label>
      <label class="field">
        <span>Name</span>
        <input name="id" value={asked.id} pattern="[a-z][a-z0-9\-]{0,62}" title="1 to 63 of a-z, 0-9 and -, first a letter" placeholder="drawn by the server" spellcheck={false} onInput={(event) => change({ id: event.currentTarget.value })} />
      </label>
      <label class="field">
        <span>Labels, as key=value, …</span>
        <input name="labels" value={asked.labels} spellcheck={false} onInput={(event) => change({ labels: event.currentTarget.value })} />
      </label>
      {problem && (
        <p class="bad wide" role="alert">
          {problem}
        </p>
      )}
      <p class="buttons wide">
        <button type="submit" class="primary" disabled={busy}>
          Create
        </button>
      </p>
      <details class="wide">
        <summary>What is sent</summary>
        <pre>{JSON.stringify(spec, null, 2)}</pre>
      </details>
    </form>
  );
}

function fits(generator: GeneratorRow, oracle: OracleRow | undefined): boolean {
  return !oracle || String(generator.stimulus_shape) === String(oracle.stimulus_shape);
}
