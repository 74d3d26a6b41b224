/** Light or dark: as the system has it, until the reader chooses. */

import { signal } from "./signal";

export type Theme = "light" | "dark";

const KEPT = "blackbox-am-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function chosen(): Theme | null {
  const kept = localStorage.getItem(KEPT);
  return kept === "light" || kept === "dark" ? kept : null;
}

function current(): Theme {
  return chosen() ?? (system.matches ? "dark" : "light");
}

export const theme = signal<Theme>(current());

function show(): void {
  const next = current();
  document.documentElement.dataset["theme"] = next;
  if (next !== theme.value) theme.value = next;
}

show();
system.addEventListener("change", show);
addEventListener("storage", (event) => {
  if (event.key === KEPT) show();
});

/** The other one; where the system has it too, the page follows the system again. */
export function switchTheme(): void {
  const next: Theme = current() === "dark" ? "light" : "dark";
  const same = next === (system.matches ? "dark" : "light");
  if (same) localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, next);
  show();
}
