import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasChromium, launch, open, type Seen } from "./chromium";
import { PYTHON, Rig } from "./processes";

const LONG = { timeout: 60_000 };
const INPUTS = 4;
const COMPARISON = `
version = 1
name = "both"
oracle = "votes"
generator = "pixels"
units = ["units:0", "units:3"]
budget = 100
seeds = 2
baseline = ""

[[methods]]
name = "adam"

[[methods]]
name = "sep_cma"

[oracles.votes]
kind = "simulated"
gradients = true

[generators.pixels]
kind = "pixels"
shape = [3, 8, 8]
`;

const runs = hasChromium && PYTHON !== "";

let rig: Rig;
let browser: Browser;
let page: Page;
let seen: Seen;

/** Pictures of 3 x 8 x 8 bytes in numpy's format. */
function npy(count: number): Buffer {
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${count}, 3, 8, 8), }`.padEnd(117) + "\n";
  const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0]);
  const values = Buffer.from(Array.from({ length: count * 192 }, (_, place) => (place * 73 + (place >> 4) * 31) % 256));
  return Buffer.concat([start, Buffer.from(header), values]);
}

beforeAll(async () => {
  if (!runs) return console.log("skipped: there is no Chromium, or BLACKBOX_AM_PYTHON is not set");
  rig = new Rig();
  const [images, comparison] = [join(rig.folder, "images.npy"), join(rig.folder, "both.toml")];
  writeFileSync(images, npy(INPUTS));
  writeFileSync(comparison, COMPARISON);
  await rig.serve();
  await rig.show();
  await rig.command("attack", "--oracle", "votes", "--images", images, "--eps", "40/255", "--budget", "60", "--out", join(rig.folder, "attack"));
  await rig.command("compare", comparison, "--out", join(rig.folder, "comparison"));
  browser = await launch();
  [page, seen] = await open(await browser.newContext({ viewport: { width: 1400, height: 1400 } }), rig.url);
}, 300_000); // the commands start Python four times

afterAll(async () => {
  await browser?.close();
  await rig?.close();
});

function fact(name: string) {
  return page.locator("dl.facts div", { has: page.locator(`dt:text-is("${name}")`) }).locator("dd").first();
}

test.skipIf(!runs)("an attack shows original, adversarial input and difference", async () => {
  await page.getByRole("link", { name: "Groups" }).click();
  await page.getByRole("link", { name: "attack-search" }).click();
  await page.getByRole("heading", { name: "attack-search" }).waitFor(LONG);
  await page.locator(".three").nth(INPUTS - 1).waitFor(LONG);
  for (const name of ["input", "best", "change"]) {
    const picture = page.locator(`.three img[src*="/0/${name}.png"]`);
    await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth), LONG).toBeGreaterThan(0);
  }
  expect(await fact("Succeeded").textContent()).toMatch(/^\d of 4 \(\d+(\.\d)? %\)$/);
  await page.getByRole("button", { name: /input 0/ }).first().click();
  await expect.poll(() => fact("Criterion").textContent(), LONG).toMatch(/^(met, generation \d+, row \d+|not met)$/);
  await expect.poll(() => fact("Largest change").textContent(), LONG).toMatch(/of 255\)$/);
  expect(await fact("Euclidean norm").textContent()).toMatch(/^\d/);
  expect(await page.locator(".pair figcaption").allTextContents()).toEqual([
    "original",
    expect.stringMatching(/^(adversarial|changed) /),
    "difference",
  ]);
});

test.skipIf(!runs)("a comparison shows its methods with equal costs, and intervals", async () => {
  await page.getByRole("link", { name: "Groups" }).click();
  await page.getByRole("link", { name: "compare" }).click();
  const rows = page.locator("table tbody tr");
  await expect.poll(() => rows.locator("th").allTextContents(), LONG).toEqual(["adam", "sep-cma", "random"]);
  await expect.poll(() => page.getByText("5 studies, 3 methods, 2 common targets").count(), LONG).toBe(1);
  for (const row of await rows.all()) expect(await row.locator("td").nth(3).textContent()).toMatch(/ to /);
  expect(await page.locator("th", { hasText: "Query-equivalents per target" }).count()).toBe(1);
  const spent = await Promise.all((await rows.all()).map((row) => row.locator("td").nth(1).textContent()));
  expect(new Set(spent.slice(0, 2)).size).toBe(1);
  await page.locator(".chart canvas").waitFor();
  await page.locator(".side-by-side img[src]").nth(5).waitFor(LONG);
});

test.skipIf(!runs)("nothing was wrong in the console", () => {
  expect(seen.errors).toEqual([]);
});
