/** What is on every page: navigation, the connection, problems. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { clock, duration } from "../format/times";
import { useKeys } from "../state/keys";
import type { Link } from "../state/reducer";
import { dismissed, problems } from "../state/problems";
import { go, route, to } from "../state/route";
import { useSignal } from "../state/signal";
import { useStore } from "../state/store";
import { switchTheme, theme } from "../state/theme";
import { Dialogs, helpShown } from "./dialogs";

const PLACES: readonly [string, string, readonly string[]][] = [
  ["", "Studies", ["", "study", "compare", "new"]],
  ["oracles", "Oracles", ["oracles", "oracle"]],
  ["groups", "Groups", ["groups", "group"]],
];

export function Frame({ children }: { children: ComponentChildren }) {
  const mode = useSignal(theme);
  const here = useSignal(route).path[0] ?? "";
  const server = useStore((state) => state.server);
  useKeys({
    "g s": () => go([]),
    "g o": () => go(["oracles"]),
    "g g": () => go(["groups"]),
    n: () => server?.changes_allowed && go(["new"]),
    t: switchTheme,
    "?": () => (helpShown.value = true),
    "/": () => document.querySelector<HTMLInputElement>("input[type=search]")?.focus(),
  });
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <header class="bar">
        <a class="name" href={to([])}>
          blackbox_am
        </a>
        <nav aria-label="Pages">
          {PLACES.map(([path, word, names]) => (
            <a key={word} href={to(path ? [path] : [])} aria-current={names.includes(here) ? "page" : undefined}>
              {word}
            </a>
          ))}
        </nav>
        <Status />
        {server?.changes_allowed && (
          <a class="button" href={to(["new"])}>
            New study
          </a>
        )}
        <button type="button" class="plain" onClick={switchTheme} title="Light or dark (t)" aria-label={mode === "dark" ? "Use light colours" : "Use dark colours"}>
          {mode === "dark" ? "Light" : "Dark"}
        </button>
        <button type="button" class="plain" onClick={() => (helpShown.value = true)} title="Keyboard (?)" aria-label="Keyboard shortcuts">
          ?
        </button>
      </header>
      <Away />
      <Problems />
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <Dialogs />
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function isAway(link: Link): boolean {
  return link.gateway === "lost" || !link.server;
}

function Status() {
  const link = useStore((state) => state.link);
  const server = useStore((state) => state.server);
  const word = isAway(link) ? "away" : link.gateway === "open" ? "live" : "connecting";
  const sign = { away: "✕", live: "●", connecting: "○" }[word];
  const where = server ? [server.address, server.device, server.version].filter(Boolean).join(" · ") : "";
  return (
    <p class={`status ${word}`} role="status">
      <span class="where">{where}</span>
      <span class="sign" aria-hidden="true">
        {sign}
      </span>{" "}
      {word}
    </p>
  );
}

/** Says that the server is away, and since when. */
function Away() {
  const link = useStore((state) => state.link);
  const away = isAway(link);
  const now = useClock(away);
  if (!away) return null;
  const lost = link.gateway === "lost";
  const since = lost ? link.gatewaySince : link.serverSince;
  return (
    <div class="banner" role="alert">
      <strong>{lost ? "The dashboard does not answer" : "The server is away"}</strong> since {clock(since)} (
      {duration(Math.max(0, Math.round((now - since) / 1000)))}). What you see is how things stood then; the
      page continues by itself when it is back.
      {!lost && link.message && <span class="soft"> {link.message}</span>}
    </div>
  );
}

/** The time, each second while it is needed. */
export function useClock(needed: boolean, every = 1000): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    if (!needed) return;
    set(Date.now());
    const timer = setInterval(() => set(Date.now()), every);
    return () => clearInterval(timer);
  }, [needed, every]);
  return now;
}

function Problems() {
  const shown = useSignal(problems);
  return (
    <>
      {shown.map((problem) => (
        <div class="problem" role="alert" key={problem.of}>
          <span>
            {problem.of && <strong>{problem.of}: </strong>}
            {problem.text}
          </span>
          <button type="button" class="plain" aria-label="Dismiss" onClick={() => dismissed(problem.of)}>
            ✕
          </button>
        </div>
      ))}
    </>
  );
}
