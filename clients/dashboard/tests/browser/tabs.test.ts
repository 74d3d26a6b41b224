import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fixture } from "../fixture/server";
import { made } from "../fixture/study";
import { hasChromium, launch, open, STATIC } from "./chromium";

const TABS = 7;

let browser: Browser;
let fixture: Fixture;
let url = "";

beforeAll(async () => {
  if (!hasChromium) return console.log("skipped: there is no Chromium");
  browser = await launch();
  fixture = new Fixture(STATIC, [made({ id: "one", targets: 6, generation: 10 }), made({ id: "two", targets: 3 })]);
  url = await fixture.listen();
});

afterAll(async () => {
  await browser?.close();
  await fixture?.close();
});

async function tabs(context: BrowserContext): Promise<[Page[], string[]]> {
  const pages: Page[] = [];
  const errors: string[] = [];
  for (let place = 0; place < TABS; place++) {
    const [page, seen] = await open(context, `${url}#/study/${place % 2 ? "two" : "one"}`);
    await page.locator(".tile img[src]").first().waitFor();
    pages.push(page);
    errors.push(...seen.errors);
  }
  return [pages, errors];
}

async function generation(page: Page): Promise<string> {
  return (await page.locator("dl.facts div", { has: page.locator(`dt:text-is("Generation")`) }).locator("dd").textContent()) ?? "";
}

test.skipIf(!hasChromium)("seven tabs are live at once, over one stream", async () => {
  const context = await browser.newContext();
  const [pages, errors] = await tabs(context);
  await expect.poll(() => fixture.readers).toBe(1);
  fixture.tick();
  for (const [place, page] of pages.entries()) {
    const study = fixture.studies[place % 2];
    await expect.poll(() => generation(page)).toBe(String(study?.generation));
  }
  expect(errors).toEqual([]);
  await context.close();
  await expect.poll(() => fixture.readers).toBe(0);
});

test.skipIf(!hasChromium)("without shared workers, the tab that is seen is live and hidden ones give way", async () => {
  const context = await browser.newContext();
  await context.addInitScript(() => {
    Reflect.deleteProperty(globalThis, "SharedWorker");
    let hidden = false;
    Object.defineProperty(document, "hidden", { get: () => hidden });
    Object.assign(globalThis, {
      hide(next: boolean) {
        hidden = next;
        document.dispatchEvent(new Event("visibilitychange"));
      },
    });
  });
  const pages: Page[] = [];
  for (let place = 0; place < TABS; place++) {
    const [page] = await open(context, `${url}#/study/one`);
    await page.locator(".tile img[src]").first().waitFor();
    await expect.poll(() => fixture.readers).toBe(1);
    if (place < TABS - 1) await page.evaluate("hide(true)");
    pages.push(page);
  }
  fixture.tick();
  const last = pages.at(-1) as Page;
  await expect.poll(() => generation(last)).toBe(String(fixture.studies[0]?.generation));
  await last.evaluate("hide(true)");
  await pages[0]?.evaluate("hide(false)");
  await expect.poll(() => generation(pages[0] as Page)).toBe(String(fixture.studies[0]?.generation));
  await context.close();
});

test.skipIf(!hasChromium)("a dashboard that ends is away, and one that starts again is live", async () => {
  const own = new Fixture(STATIC, [made({ id: "one", generation: 5 })]);
  const address = await own.listen();
  const context = await browser.newContext();
  const [page] = await open(context, `${address}#/study/one`);
  await page.locator(".tile img[src]").first().waitFor();
  await own.close();
  await page.getByText("The dashboard does not answer").waitFor();
  const again = new Fixture(STATIC, [made({ id: "one", generation: 25 })]);
  await again.listen(Number(new URL(address).port));
  await page.getByText("The dashboard does not answer").waitFor({ state: "detached" });
  await expect.poll(() => generation(page)).toBe("25");
  await context.close();
  await again.close();
});

test.skipIf(!hasChromium)("a server that goes away is said to be away, and pictures wait for it", async () => {
  const context = await browser.newContext();
  const [page, seen] = await open(context, `${url}#/study/one`);
  await page.locator(".tile img[src]").first().waitFor();
  fixture.connected(false);
  await page.getByText("The server is away").waitFor();
  fixture.connected(true);
  await page.getByText("The server is away").waitFor({ state: "detached" });
  expect(seen.errors).toEqual([]);
  await context.close();
});
