/** One stream of events for all tabs of the page: a browser opens six connections to a host. */

import type { StreamMessage } from "../api/types";

/** A message of the hub to a tab. */
export type HubMessage = StreamMessage | { kind: "gateway"; data: { open: boolean; at: number } };

/** What a tab follows: studies with the last sequence number that it knows of each. */
export type Wanted = Record<string, number>;

/** A message of a tab to the hub in the shared worker; `want` is repeated while the tab is there. */
export type TabMessage = { kind: "want"; wanted: Wanted; path: string } | { kind: "leave" };

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
  tell: (message: HubMessage) => void;
  seenAt: number;
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
  #server: HubMessage | null = null;

  constructor(
    readonly outside: Outside,
    readonly path: string,
  ) {}

  /**
   * A tab wants this, and no longer what it wanted before. A tab that repeats nothing for long is
   * forgotten, and joins again when it does: a computer that slept wakes its tabs one by one.
   */
  want(tab: object, wanted: Wanted, tell: (message: HubMessage) => void): void {
    const before = this.#tabs.get(tab);
    this.#tabs.set(tab, { wanted: new Set(Object.keys(wanted)), tell, seenAt: this.outside.now() });
    if (!before) this.#tellState(tell);
    let behind = false;
    for (const [name, sequence] of Object.entries(wanted)) {
      if (!before?.wanted.has(name)) behind = this.#begin(name, sequence) || behind;
    }
    this.#forgetSilent();
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

  #forgetSilent(): void {
    const now = this.outside.now();
    for (const [tab, { seenAt }] of this.#tabs) {
      if (now - seenAt > FORGET_MS) this.#tabs.delete(tab);
    }
  }

  leave(tab: object): void {
    this.#tabs.delete(tab);
    this.#settle(false);
  }

  #tellState(tell: (message: HubMessage) => void): void {
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
      source.addEventListener(kind, (event) => this.#received(kind, event));
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
    this.#changed(true);
  }

  /** The stream is opened anew after a while, from the last event of each study. */
  #lost(source: Source): void {
    if (source !== this.#source) return;
    this.#close();
    this.#changed(false);
    this.#later(WAITS_MS[Math.min(this.#failures++, WAITS_MS.length - 1)] ?? 0);
  }

  #changed(open: boolean): void {
    if (this.#gateway?.open === open) return;
    this.#gateway = { open, at: this.outside.now() };
    for (const tab of this.#tabs.values()) tab.tell({ kind: "gateway", data: this.#gateway });
  }

  #received(kind: (typeof KINDS)[number], event: MessageEvent<string>): void {
    const message = { kind, data: JSON.parse(event.data) } as StreamMessage;
    this.#remember(event.lastEventId);
    if (message.kind === "server") this.#server = message;
    const name = studyOf(message);
    for (const tab of this.#tabs.values()) {
      if (name === null || tab.wanted.has(name)) tab.tell(message);
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
function studyOf(message: StreamMessage): string | null {
  switch (message.kind) {
    case "server":
      return null;
    case "listing":
      return LISTING;
    case "study":
      return message.data.id;
    default:
      return message.data.study ?? LISTING;
  }
}
