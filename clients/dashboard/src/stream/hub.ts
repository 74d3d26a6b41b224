/** One stream of events for all tabs of the page: a browser opens six connections to a host. */

import type { StreamMessage } from "../api/types";

/** What a tab hears from the hub. */
export type Heard = StreamMessage | { kind: "gateway"; data: { open: boolean; at: number } };

/** What a tab wants to hear of: studies with the last sequence number that it knows of each. */
export type Wanted = Record<string, number>;

/** What a tab says to the hub in the shared worker. */
export type Said =
  | { say: "want"; wanted: Wanted; path: string }
  | { say: "alive" }
  | { say: "leave" };

/** The name under which the listing of all studies is wanted. */
export const LISTING = "*list";

const KINDS = [
  "study",
  "generation",
  "state",
  "rechecked",
  "note",
  "listing",
  "server",
  "deleted",
  "problem",
] as const;
const SETTLE_MS = 60;
const WAITS_MS = [300, 600, 1200, 2500, 4000];
const FORGET_MS = 180_000;

export interface Source {
  addEventListener(kind: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

export interface Outside {
  open(url: string): Source;
  now(): number;
  after(milliseconds: number, action: () => void): () => void;
}

/** The stream and the clock of a browser. */
export const BROWSER: Outside = {
  open: (url) => new EventSource(url),
  now: () => Date.now(),
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds);
    return () => clearTimeout(timer);
  },
};

interface Tab {
  wanted: Set<string>;
  tell: (heard: Heard) => void;
  heardOf: number;
}

/** Joins what tabs want into one stream, and tells each tab what it wants. */
export class Hub {
  readonly #tabs = new Map<object, Tab>();
  readonly #last = new Map<string, number>();
  #source: Source | null = null;
  #streamed: ReadonlySet<string> = new Set();
  #cancel: (() => void) | null = null;
  #failures = 0;
  #gateway: { open: boolean; at: number } | null = null;
  #server: Heard | null = null;

  constructor(
    readonly outside: Outside,
    readonly path: string,
  ) {}

  /** A tab wants this, and no longer what it wanted before. */
  want(tab: object, wanted: Wanted, tell: (heard: Heard) => void): void {
    const before = this.#tabs.get(tab);
    this.#tabs.set(tab, { wanted: new Set(Object.keys(wanted)), tell, heardOf: this.outside.now() });
    if (!before) this.#greet(tell);
    let behind = false;
    for (const [name, sequence] of Object.entries(wanted)) {
      if (!before?.wanted.has(name)) behind = this.#begin(name, sequence) || behind;
    }
    this.#settle(behind);
  }

  /** Whether the stream is already past `sequence`, so that this tab would miss something. */
  #begin(name: string, sequence: number): boolean {
    const last = this.#last.get(name);
    const streamed = this.#streamed.has(name);
    if (name === LISTING || (streamed && last !== undefined && last <= sequence)) return false;
    this.#last.set(name, sequence);
    return streamed;
  }

  /** A tab is still there; those that say nothing for long are forgotten. */
  alive(tab: object): void {
    const known = this.#tabs.get(tab);
    const now = this.outside.now();
    if (known) known.heardOf = now;
    for (const [other, { heardOf }] of this.#tabs) {
      if (now - heardOf > FORGET_MS) this.leave(other);
    }
  }

  leave(tab: object): void {
    this.#tabs.delete(tab);
    this.#settle(false);
  }

  #greet(tell: (heard: Heard) => void): void {
    if (this.#gateway) tell({ kind: "gateway", data: this.#gateway });
    if (this.#server) tell(this.#server);
  }

  /** Opens the stream anew where it lacks what is wanted; several changes at once are one. */
  #settle(behind: boolean): void {
    const wanted = this.#union();
    if (!wanted.size) return this.#close();
    const covers = this.#source && [...wanted].every((name) => this.#streamed.has(name));
    if (covers && !behind) return;
    this.#later(SETTLE_MS);
  }

  #union(): Set<string> {
    return new Set([...this.#tabs.values()].flatMap((tab) => [...tab.wanted]));
  }

  #later(milliseconds: number): void {
    this.#cancel?.();
    this.#cancel = this.outside.after(milliseconds, () => this.#open());
  }

  #close(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#source?.close();
    this.#source = null;
    this.#streamed = new Set();
  }

  #open(): void {
    this.#close();
    this.#streamed = this.#union();
    if (!this.#streamed.size) return;
    const source = this.outside.open(this.#url());
    this.#source = source;
    source.addEventListener("open", () => this.#opened());
    source.addEventListener("error", () => this.#lost(source));
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => this.#heard(kind, event));
    }
  }

  #url(): string {
    const names = [...this.#streamed].sort();
    const last = names
      .filter((name) => name !== LISTING && this.#last.has(name))
      .map((name) => `${name}=${this.#last.get(name)}`);
    const query = new URLSearchParams({ studies: names.join(",") });
    if (last.length) query.set("last_event_id", last.join(";"));
    return `${this.path}?${query}`;
  }

  #opened(): void {
    this.#failures = 0;
    this.#say(true);
  }

  /** The stream is opened anew after a while, from the last event of each study. */
  #lost(source: Source): void {
    if (source !== this.#source) return;
    this.#close();
    this.#say(false);
    this.#later(WAITS_MS[Math.min(this.#failures++, WAITS_MS.length - 1)] ?? 0);
  }

  #say(open: boolean): void {
    if (this.#gateway?.open === open) return;
    this.#gateway = { open, at: this.outside.now() };
    for (const tab of this.#tabs.values()) tab.tell({ kind: "gateway", data: this.#gateway });
  }

  #heard(kind: (typeof KINDS)[number], event: MessageEvent<string>): void {
    const heard = { kind, data: JSON.parse(event.data) } as StreamMessage;
    this.#remember(event.lastEventId);
    if (heard.kind === "server") this.#server = heard;
    const name = studyOf(heard);
    for (const tab of this.#tabs.values()) {
      if (name === null || tab.wanted.has(name)) tab.tell(heard);
    }
  }

  /** `a=12;b=40`: the last sequence number of each study of the stream. */
  #remember(id: string): void {
    for (const pair of id.split(";")) {
      const [name, sequence] = pair.split("=");
      if (name && sequence) this.#last.set(name, Number(sequence));
    }
  }
}

/** The study that a message is of, or the listing; null for what concerns every tab. */
function studyOf(heard: StreamMessage): string | null {
  switch (heard.kind) {
    case "server":
      return null;
    case "listing":
      return LISTING;
    case "study":
      return heard.data.id;
    default:
      return heard.data.study ?? LISTING;
  }
}
