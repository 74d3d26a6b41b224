/** The dialogs of every page: shortcuts, and the token for changes. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { keepToken } from "../api/http";
import { asking } from "../state/changes";
import { signal, useSignal } from "../state/signal";

export const helpShown = signal(false);

const SHORTCUTS: readonly [string, string][] = [
  ["g s", "Studies"],
  ["g o", "Oracles"],
  ["g g", "Groups"],
  ["n", "New study, where changes are allowed"],
  ["/", "Filter"],
  ["j  k", "Next or previous row or target"],
  ["Enter", "Open the marked study"],
  ["x", "Select the marked study for a comparison"],
  ["c", "Compare the selected studies"],
  ["p", "Keep the curve of the target labelled, or no longer"],
  ["l", "Back to the live state from an earlier generation"],
  ["t", "Light or dark"],
  ["?", "This list"],
];

export function Dialogs() {
  const help = useSignal(helpShown);
  const change = useSignal(asking);
  return (
    <>
      {help && (
        <Dialog title="Keyboard" onClose={() => (helpShown.value = false)}>
          <dl class="shortcuts">
            {SHORTCUTS.map(([keys, what]) => (
              <div key={keys}>
                <dt>
                  {keys.split(/\s+/).map((key) => (
                    <kbd key={key}>{key}</kbd>
                  ))}
                </dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
        </Dialog>
      )}
      {change && <TokenDialog {...change} />}
    </>
  );
}

function TokenDialog({ reason, go, stop }: { reason: string; go: () => void; stop: () => void }) {
  const [token, set] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    keepToken(token.trim());
    go();
  };
  return (
    <Dialog title="Token" onClose={stop}>
      <form onSubmit={submit}>
        <p>{reason}</p>
        <label class="field">
          <span>Token</span>
          <input
            type="password"
            name="token"
            autocomplete="off"
            required
            value={token}
            onInput={(event) => set(event.currentTarget.value)}
          />
        </label>
        <p class="soft">It stays in this tab, and is forgotten when the tab closes.</p>
        <p class="buttons">
          <button type="submit" class="primary">
            Continue
          </button>
          <button type="button" onClick={stop}>
            Cancel
          </button>
        </p>
      </form>
    </Dialog>
  );
}

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => element.current?.showModal(), []);
  return (
    <dialog ref={element} onClose={onClose} aria-label={title}>
      <header>
        <h2>{title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick={onClose}>
          ✕
        </button>
      </header>
      {children}
    </dialog>
  );
}
