/** Changes of a study, where the server allows them. */

import { useState } from "preact/hooks";
import * as calls from "../../api/calls";
import { sentence } from "../../api/http";
import type { Study } from "../../api/types";
import { hasEnded } from "../../format/words";
import { Dialog } from "../../parts/dialogs";
import { NoToken, withToken } from "../../state/changes";
import { thrown } from "../../state/problems";
import { useStore } from "../../state/store";

export function Steer({ study }: { study: Study }) {
  const allowed = useStore((state) => state.server?.changes_allowed === true);
  const [dialog, setDialog] = useState<"cancel" | "extend" | null>(null);
  if (!allowed) return null;
  const { id, state } = study;
  const change = (verb: "pause" | "resume" | "cancel") => {
    setDialog(null);
    withToken(() => calls.steer(id, verb)).catch(failed(id));
  };
  return (
    <span class="buttons steer">
      {(state === "running" || state === "pending") && (
        <button type="button" onClick={() => change("pause")}>
          Pause
        </button>
      )}
      {(state === "paused" || state === "failed") && (
        <button type="button" onClick={() => change("resume")}>
          Resume
        </button>
      )}
      {state !== "cancelled" && (
        <button type="button" onClick={() => setDialog("extend")}>
          Extend…
        </button>
      )}
      {!hasEnded(state) && (
        <button type="button" onClick={() => setDialog("cancel")}>
          Cancel…
        </button>
      )}
      {dialog === "cancel" && (
        <Dialog title={`Cancel ${id}?`} onClose={() => setDialog(null)}>
          <p>The study ends for good. What it found is kept.</p>
          <p class="buttons">
            <button type="button" class="primary" onClick={() => change("cancel")}>
              End the study
            </button>
            <button type="button" onClick={() => setDialog(null)}>
              Keep it
            </button>
          </p>
        </Dialog>
      )}
      {dialog === "extend" && <Extend study={study} close={() => setDialog(null)} />}
    </span>
  );
}

function failed(id: string): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof NoToken)) thrown(error, id);
  };
}

function Extend({ study, close }: { study: Study; close: () => void }) {
  const budget = study.spec["budget"] as { queries_per_target?: number } | undefined;
  const now = Number(budget?.queries_per_target ?? 0);
  const [queries, set] = useState(2 * now);
  const [problem, setProblem] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    withToken(() => calls.extend(study.id, queries)).then(close, (error: unknown) => setProblem(sentence(error)));
  };
  return (
    <Dialog title={`Extend ${study.id}`} onClose={close}>
      <form onSubmit={submit}>
        <label class="field">
          <span>Queries per target, now {now}</span>
          <input
            type="number"
            name="queries"
            min={now + 1}
            required
            value={queries}
            onInput={(event) => set(event.currentTarget.valueAsNumber)}
          />
        </label>
        {problem && <p class="bad">{problem}</p>}
        <p class="buttons">
          <button type="submit" class="primary">
            Raise the budget
          </button>
          <button type="button" onClick={close}>
            Cancel
          </button>
        </p>
      </form>
    </Dialog>
  );
}
