/** Small parts that many pages use. */

import type { ComponentChildren } from "preact";
import type { StudyState } from "../api/types";
import { look, reason } from "../format/words";

export function State({ state, why = "" }: { state: StudyState; why?: string }) {
  const { word, sign, tone } = look(state);
  const because = state === "running" ? "" : reason(why);
  return (
    <span class={`state ${tone}`}>
      <span class="sign" aria-hidden="true">
        {sign}
      </span>{" "}
      {word}
      {because && <span class="soft"> · {because}</span>}
    </span>
  );
}

export function Labels({ labels }: { labels: Record<string, string> }) {
  return (
    <>
      {Object.entries(labels).map(([key, value]) => (
        <span class="label" key={key}>
          {key}={value}
        </span>
      ))}
    </>
  );
}

/** Names and values, in columns. */
export function Facts({ rows }: { rows: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {rows.map(([name, content]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{content}</dd>
        </div>
      ))}
    </dl>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}

/** A choice of few, all of them visible. */
export function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map(([option, word]) => (
        <button type="button" key={option} aria-pressed={option === value} onClick={() => onChange(option)}>
          {word}
        </button>
      ))}
    </div>
  );
}

interface SelectProps {
  label: string;
  value: string;
  options: readonly (readonly [string, string])[];
  onChange: (value: string) => void;
}

export function Select({ label, value, options, onChange }: SelectProps) {
  return (
    <label class="select">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map(([option, word]) => (
          <option key={option} value={option}>
            {word}
          </option>
        ))}
      </select>
    </label>
  );
}

interface SearchProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
}

export function Search({ label, value, onChange }: SearchProps) {
  return (
    <input
      type="search"
      placeholder={label}
      aria-label={label}
      value={value}
      onInput={(event) => onChange(event.currentTarget.value)}
      onKeyDown={leave}
    />
  );
}

/** Escape and Enter go back to the page; the text stays. */
function leave(event: KeyboardEvent): void {
  if (event.key !== "Escape" && event.key !== "Enter") return;
  event.preventDefault();
  (event.currentTarget as HTMLInputElement).blur();
}
