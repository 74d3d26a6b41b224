/** The state of the page, and how components follow parts of it. */

import { useEffect, useReducer, useRef } from "preact/hooks";
import type { GenerationData, JsonObject } from "../api/types";
import type { HubMessage } from "../stream/hub";
import { type Action, EMPTY, type State, reduce } from "./reducer";

/** Messages of the stream change the page this often, however many come. */
const FLUSH_MS = 250;

type Listener = () => void;

export class Store {
  #state: State = EMPTY;
  readonly #listeners = new Set<Listener>();
  #waiting: HubMessage[] = [];
  #flushing = false;

  get state(): State {
    return this.#state;
  }

  dispatch(...actions: Action[]): void {
    const before = this.#state;
    for (const action of actions) this.#state = reduce(this.#state, action);
    if (this.#state !== before) for (const listener of this.#listeners) listener();
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes a message of the stream; several are folded in at once. */
  receive(message: HubMessage): void {
    this.#waiting.push(message);
    if (this.#flushing) return;
    this.#flushing = true;
    setTimeout(() => this.#flush(), FLUSH_MS);
  }

  #flush(): void {
    const messages = this.#waiting;
    this.#waiting = [];
    this.#flushing = false;
    this.dispatch(...actionsOf(messages, Date.now()));
  }
}

/** Whether the server can be asked. */
export function isReachable({ link }: State): boolean {
  return link.server && link.gateway !== "lost";
}

/** Messages as actions in their order; consecutive generations of a study are one action. */
export function actionsOf(messages: readonly HubMessage[], at: number): Action[] {
  const actions: Action[] = [];
  const open = new Map<string, GenerationData[]>();
  const close = () => {
    for (const [id, events] of open) actions.push({ do: "generations", id, events });
    open.clear();
  };
  for (const message of messages) {
    if (message.kind === "generation") {
      const events = open.get(message.data.study) ?? [];
      open.set(message.data.study, [...events, message.data]);
      continue;
    }
    close();
    actions.push(...otherActions(message, at));
  }
  close();
  return actions;
}

function otherActions(message: Exclude<HubMessage, { kind: "generation" }>, at: number): Action[] {
  switch (message.kind) {
    case "study":
      return [{ do: "study", study: message.data as unknown as JsonObject }];
    case "state":
      return [{ do: "state", change: message.data }];
    case "listing":
      return [
        { do: "listed", studies: message.data.studies, anew: message.data.reset },
        { do: "deleted", ids: message.data.deleted },
      ];
    case "deleted":
      return [{ do: "deleted", ids: [message.data.study] }];
    case "server":
      return [{ do: "connected", ...message.data, at }];
    case "gateway":
      return [{ do: "gateway", ...message.data }];
    default:
      return []; // the whole study follows a re-check; live.ts shows problems
  }
}

export const store = new Store();

/** A part of the state; the component renders again when the part changes. */
export function useStore<T>(select: (state: State) => T): T {
  const [, render] = useReducer((turn: number) => turn + 1, 0);
  const selected = select(store.state);
  const kept = useRef({ select, selected });
  kept.current = { select, selected };
  useEffect(() => {
    const check = () => {
      if (!Object.is(kept.current.select(store.state), kept.current.selected)) render(undefined);
    };
    check(); // the state may have changed between rendering and here
    return store.subscribe(check);
  }, []);
  return selected;
}
