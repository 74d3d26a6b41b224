/** Shortcuts of the keyboard: one key, or `g` and then a key. */

import { useEffect, useRef } from "preact/hooks";

export type Keys = Record<string, () => void>;

const SEQUENCE_MS = 1200;
const active: { current: Keys }[] = [];
let prefix = "";
let prefixAt = 0;

function inText(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

/** The key with its prefix: `g s` where `g` came shortly before. */
export function named(key: string, at: number, last: { key: string; at: number }): string {
  return last.key === "g" && at - last.at < SEQUENCE_MS ? `g ${key}` : key;
}

function pressed(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (inText(event.target) || document.querySelector("dialog[open]")) return;
  const name = named(event.key, event.timeStamp, { key: prefix, at: prefixAt });
  prefix = event.key;
  prefixAt = event.timeStamp;
  const action = active.findLast(({ current }) => current[name])?.current[name];
  if (!action) return;
  event.preventDefault();
  action();
}

addEventListener("keydown", pressed);

/** Shortcuts while the component is on the page; those of inner components come first. */
export function useKeys(keys: Keys): void {
  const latest = useRef(keys);
  latest.current = keys; // at once: a second key may come before effects run
  useEffect(() => {
    active.push(latest);
    return () => {
      active.splice(active.indexOf(latest), 1);
    };
  }, []);
}
