import { beforeEach, expect, test } from "vitest";
import { type HubMessage, Hub, LISTING, type Outside, type Source } from "../../src/stream/hub";

type Listener = (event: MessageEvent<string>) => void;

class Stream implements Source {
  readonly listeners = new Map<string, Listener>();
  closed = false;

  constructor(readonly url: URL) {}

  addEventListener(kind: string, listener: Listener): void {
    this.listeners.set(kind, listener);
  }

  close(): void {
    this.closed = true;
  }

  send(kind: string, data: unknown = null, lastEventId = ""): void {
    this.listeners.get(kind)?.({ data: JSON.stringify(data), lastEventId } as MessageEvent<string>);
  }
}

let streams: Stream[] = [];
let timers: { at: number; action: () => void }[] = [];
let now = 0;
let hub: Hub;

const outside: Outside = {
  open(url) {
    streams.push(new Stream(new URL(url)));
    return streams.at(-1) as Stream;
  },
  now: () => now,
  after(milliseconds, action) {
    const timer = { at: now + milliseconds, action };
    timers.push(timer);
    return () => {
      timers = timers.filter((other) => other !== timer);
    };
  },
};

function pass(milliseconds: number): void {
  now += milliseconds;
  const due = timers.filter(({ at }) => at <= now);
  timers = timers.filter(({ at }) => at > now);
  for (const { action } of due) action();
}

function latest(): Stream {
  return streams.at(-1) as Stream;
}

function tab(): { messages: HubMessage[]; tell: (message: HubMessage) => void } {
  const messages: HubMessage[] = [];
  return { messages, tell: (message) => messages.push(message) };
}

beforeEach(() => {
  streams = [];
  timers = [];
  now = 0;
  hub = new Hub(outside, "http://here/api/events");
});

test("what several tabs want is one stream", () => {
  const [one, other] = [tab(), tab()];
  hub.want(one, { a: 5, [LISTING]: 0 }, one.tell);
  hub.want(other, { b: 7 }, other.tell);
  pass(100);
  expect(streams.length).toBe(1);
  expect(latest().url.searchParams.get("studies")).toBe("*list,a,b");
  expect(latest().url.searchParams.get("last_event_id")).toBe("a=5;b=7");
});

test("each tab is told what it wants, and all are told of the server", () => {
  const [one, other] = [tab(), tab()];
  hub.want(one, { a: 5 }, one.tell);
  hub.want(other, { b: 7 }, other.tell);
  pass(100);
  latest().send("generation", { study: "a", sequence: 6 }, "a=6");
  latest().send("server", { connected: false, message: "" });
  expect(one.messages.map(({ kind }) => kind)).toEqual(["generation", "server"]);
  expect(other.messages.map(({ kind }) => kind)).toEqual(["server"]);
});

test("a lost stream is opened again from the last events, later and later", () => {
  const one = tab();
  hub.want(one, { a: 5 }, one.tell);
  pass(100);
  latest().send("open");
  latest().send("generation", { study: "a", sequence: 9 }, "a=9");
  latest().send("error");
  expect(one.messages.at(-1)).toEqual({ kind: "gateway", data: { open: false, at: now } });
  pass(300);
  expect(latest().url.searchParams.get("last_event_id")).toBe("a=9");
  latest().send("error");
  pass(300);
  expect(streams.length).toBe(2);
  pass(300);
  expect(streams.length).toBe(3);
  latest().send("open");
  expect(one.messages.at(-1)).toMatchObject({ kind: "gateway", data: { open: true } });
});

test("a tab that is behind the stream misses nothing", () => {
  const [one, other] = [tab(), tab()];
  hub.want(one, { a: 5 }, one.tell);
  pass(100);
  latest().send("generation", { study: "a", sequence: 9 }, "a=9");
  hub.want(other, { a: 7 }, other.tell);
  pass(100);
  expect(streams.length).toBe(2);
  expect(streams[0]?.closed).toBe(true);
  expect(latest().url.searchParams.get("last_event_id")).toBe("a=7");
});

test("a tab that joins in time, or asks again, opens no new stream", () => {
  const [one, other] = [tab(), tab()];
  hub.want(one, { a: 5 }, one.tell);
  pass(100);
  latest().send("generation", { study: "a", sequence: 9 }, "a=9");
  hub.want(other, { a: 9 }, other.tell);
  hub.want(one, { a: 5 }, one.tell);
  pass(100);
  expect(streams.length).toBe(1);
});

test("a new tab is told how things stand", () => {
  const [one, other] = [tab(), tab()];
  hub.want(one, { a: 5 }, one.tell);
  pass(100);
  latest().send("open");
  latest().send("server", { connected: false, message: "gone" });
  hub.want(other, { a: 5 }, other.tell);
  expect(other.messages.map(({ kind }) => kind)).toEqual(["gateway", "server"]);
});

test("the stream ends with the last tab; silent tabs are forgotten", () => {
  const [one, other] = [tab(), tab()];
  hub.want(one, { a: 5 }, one.tell);
  hub.want(other, { b: 5 }, other.tell);
  pass(100);
  hub.leave(one);
  expect(latest().closed).toBe(false);
  pass(200_000);
  const late = tab();
  hub.want(late, { c: 1 }, late.tell);
  pass(100);
  expect(latest().url.searchParams.get("studies")).toBe("c");
});

test("tabs of a computer that slept are told again, and miss nothing", () => {
  const [one, other] = [tab(), tab()];
  hub.want(one, { a: 5 }, one.tell);
  hub.want(other, { b: 5 }, other.tell);
  pass(100);
  latest().send("generation", { study: "b", sequence: 9 }, "a=5;b=9");
  now += 10 * 60_000; // no timer ran meanwhile
  hub.want(one, { a: 5 }, one.tell);
  hub.want(other, { b: 5 }, other.tell);
  pass(100);
  expect(latest().url.searchParams.get("studies")).toBe("a,b");
  latest().send("generation", { study: "b", sequence: 10 }, "a=5;b=10");
  expect(other.messages.at(-1)).toMatchObject({ data: { sequence: 10 } });
});
