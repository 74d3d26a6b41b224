import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasChromium, launch, open, type Seen } from "./chromium";
import { PYTHON, Rig, TOKEN } from "./processes";

/** Waiting includes a server that starts on a busy machine. */
const LONG = { timeout: 60_000 };

const runs = hasChromium && PYTHON !== "";
const reason = hasChromium ? "BLACKBOX_AM_PYTHON is not set" : "there is no Chromium";

let rig: Rig;
let browser: Browser;
let page: Page;
let seen: Seen;

beforeAll(async () => {
  if (!runs) return console.log(`skipped: ${reason}`);
  rig = new Rig();
  await rig.serve();
  await rig.show();
  browser = await launch();
  [page, seen] = await open(await browser.newContext(), rig.url);
});

afterAll(async () => {
  await browser?.close();
  await rig?.close();
});

function fact(name: string) {
  return page.locator("dl.facts div", { has: page.locator(`dt:text-is("${name}")`) }).locator("dd").first();
}

async function generation(): Promise<number> {
  return Number((await fact("Generation").textContent())?.replace(/\D/g, ""));
}

async function after(generations: number): Promise<void> {
  await expect.poll(generation, LONG).toBeGreaterThan(generations);
}

test.skipIf(!runs)("a study is created with the token, and shown", async () => {
  await page.getByRole("link", { name: "New study" }).click();
  await page.getByLabel("Targets, one unit a line").fill("units:0\nunits:1\nunits:2");
  await page.getByLabel("Queries per target").fill("4000");
  await page.getByLabel("Optimizer").fill("random");
  await page.getByLabel("Name").fill("made-here");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByLabel("Token", { exact: true }).last().fill("a-token-that-is-wrong");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("dialog").getByText(/token/i).first().waitFor(LONG);
  await expect.poll(() => page.getByLabel("Token", { exact: true }).last().inputValue(), LONG).toBe("");
  await page.getByLabel("Token", { exact: true }).last().fill(TOKEN);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: "made-here" }).waitFor(LONG);
});

test.skipIf(!runs)("generations, scores and pictures come by themselves", async () => {
  await after(1);
  await page.locator(".tile img[src*='best.png']").first().waitFor(LONG);
  const before = await generation();
  await after(before + 2);
  await expect.poll(() => page.locator(".tile strong").first().textContent(), LONG).not.toBe("–");
  await expect
    .poll(() => page.locator(".tile img").first().evaluate((image: HTMLImageElement) => image.naturalWidth), LONG)
    .toBeGreaterThan(0);
});

test.skipIf(!runs)("a killed server is away since a time, and the page goes on when it is back", async () => {
  const before = await generation();
  await rig.killServer();
  const alert = page.getByRole("alert");
  await alert.waitFor(LONG);
  expect(await alert.textContent()).toMatch(/The server is away since \d\d:\d\d:\d\d/);
  await rig.serve();
  await alert.waitFor({ state: "detached", ...LONG });
  await after(before + 2);
  expect(await page.locator(".status").textContent()).toContain("live");
});

test.skipIf(!runs)("a study is paused, resumed, extended and cancelled", async () => {
  const state = page.locator(".heading .state");
  await page.getByRole("button", { name: "Pause" }).click();
  await expect.poll(() => state.textContent(), LONG).toContain("paused");
  await page.getByRole("button", { name: "Resume" }).click();
  await expect.poll(() => state.textContent(), LONG).toMatch(/running|pending/);
  await page.getByRole("button", { name: "Extend" }).click();
  await page.getByLabel("Queries per target").fill("9000");
  await page.getByRole("button", { name: "Raise the budget" }).click();
  await expect.poll(() => fact("Queries per target").textContent(), LONG).toContain("9,000");
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByRole("button", { name: "End the study" }).click();
  await expect.poll(() => state.textContent(), LONG).toContain("cancelled");
});

test.skipIf(!runs)("the earlier best comes back with the slider", async () => {
  await page.getByRole("slider").fill("1");
  const caption = page.locator(".target figcaption").first();
  await expect.poll(() => caption.textContent(), LONG).toContain("after generation 1");
  await expect.poll(() => page.locator(".tile img").first().getAttribute("src"), LONG).toContain("generation=1");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Latest" }).click();
  await expect.poll(() => caption.textContent(), LONG).toContain("best");
});

test.skipIf(!runs)("the oracle shows its layers and units", async () => {
  await page.goto(`${rig.url}#/oracle/slow`);
  await page.getByRole("button", { name: "units" }).first().waitFor(LONG);
  await page.getByRole("button", { name: "What studies found" }).click();
  await page.locator("a.tile").first().waitFor(LONG);
});

test.skipIf(!runs)("a study that does not exist is said to be missing", async () => {
  await page.goto(`${rig.url}#/study/nobody`);
  await page.getByText("The server has no study of this name.").waitFor(LONG);
});

test.skipIf(!runs)("nothing was wrong in the console, and no other host was asked", async () => {
  // Asked for on purpose: a missing study, natural images that do not fit, a wrong token; and what
  // was under way when the server was killed.
  const known = /studies\/nobody|natural\?|status of 40[13]|status of 503/;
  const ours = seen.errors.filter((text) => !known.test(text));
  expect(seen.errors.filter((text) => text.includes("503")).length).toBeLessThan(10);
  expect(ours).toEqual([]);
  expect([...seen.hosts]).toEqual([new URL(rig.url).host]);
});
