import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fixture } from "../fixture/server";
import { made } from "../fixture/study";
import { hasChromium, launch, open, STATIC } from "./chromium";

/** Where the screenshots are written, for a person to look at. */
const FOLDER = process.env["DASHBOARD_SCREENSHOTS"] ?? join(import.meta.dirname, "../../screenshots");

const PAGES: readonly [string, string][] = [
  ["studies", "#/"],
  ["study", "#/study/ten-units?t=3&pin=5"],
  ["walk", "#/study/walk"],
  ["series", "#/study/series"],
  ["compare", "#/compare?studies=ten-units,ten-units-2,ten-random"],
  ["oracles", "#/oracles"],
  ["groups", "#/groups"],
];

let browser: Browser;
let fixture: Fixture;
let url = "";

beforeAll(async () => {
  if (!hasChromium) return console.log("skipped: there is no Chromium");
  mkdirSync(FOLDER, { recursive: true });
  browser = await launch();
  fixture = new Fixture(STATIC, [
    made({ id: "ten-units", targets: 10, generation: 60 }),
    made({ id: "ten-units-2", targets: 10, generation: 60, seed: 2, state: "succeeded" }),
    made({ id: "ten-random", targets: 10, generation: 50, seed: 3, optimizer: "random", state: "failed" }),
    made({ id: "walk", targets: 100, generation: 90, seed: 4 }),
    made({ id: "series", targets: 3, shape: [1, 128], seed: 5 }),
  ]);
  url = await fixture.listen();
});

afterAll(async () => {
  await browser?.close();
  await fixture?.close();
});

async function background(page: Page): Promise<number> {
  const colour = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  return Number(/\d+/.exec(colour)?.[0]);
}

test.skipIf(!hasChromium).each([
  ["light", 1440, 1100],
  ["dark", 1440, 1100],
  ["light", 400, 900],
  ["dark", 400, 900],
] as const)("every page in %s colours, %i wide", async (colorScheme, width, height) => {
  const context = await browser.newContext({ colorScheme, viewport: { width, height } });
  const [page, seen] = await open(context, url);
  for (const [name, hash] of PAGES) {
    await page.goto(url + hash);
    await page.locator("h1").waitFor();
    await page.waitForTimeout(1200); // curves and pictures
    await page.screenshot({ path: join(FOLDER, `${name}-${colorScheme}-${width}.png`) });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide, `${name} is wider than the window`).toBeLessThanOrEqual(width);
  }
  const dark = (await background(page)) < 100;
  expect(dark).toBe(colorScheme === "dark");
  expect(seen.errors).toEqual([]);
  await context.close();
});

test.skipIf(!hasChromium)("the switch of colours is kept", async () => {
  const context = await browser.newContext({ colorScheme: "light" });
  const [page] = await open(context, url);
  await page.getByRole("button", { name: "Use dark colours" }).click();
  expect(await background(page)).toBeLessThan(100);
  await page.reload();
  expect(await background(page)).toBeLessThan(100);
  await context.close();
});

test.skipIf(!hasChromium)("a series is drawn as a line, and a study of series has no pictures", async () => {
  const [page, seen] = await open(await browser.newContext(), `${url}#/study/series`);
  await page.locator(".tile svg.series polyline").first().waitFor();
  expect(await page.locator(".tile img").count()).toBe(0);
  expect(seen.errors).toEqual([]);
  await page.context().close();
});

test.skipIf(!hasChromium)("the keyboard reaches everything", async () => {
  const [page] = await open(await browser.newContext(), url);
  await page.locator("table.studies tbody tr").first().waitFor();
  expect(await page.getByText("New study").count()).toBe(0); // the fixture allows no changes
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  for (const key of ["j", "x", "j", "x", "c"]) await page.keyboard.press(key);
  await page.getByRole("heading", { name: "Compare" }).waitFor();
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await page.locator("table.studies").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("walk");
  await expect.poll(() => page.locator("table.studies tbody tr").count()).toBe(1);
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "walk" }).waitFor();
  await page.keyboard.press("j");
  await page.getByRole("heading", { name: "layer3:1", exact: true }).waitFor();
  await page.keyboard.press("Tab");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle);
  expect(outline).toBe("solid");
  await page.context().close();
});
