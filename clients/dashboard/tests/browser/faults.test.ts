import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fixture } from "../fixture/server";
import { made } from "../fixture/study";
import { hasChromium, launch, open, STATIC } from "./chromium";

let browser: Browser;
let fixture: Fixture;
let url = "";

beforeAll(async () => {
  if (!hasChromium) return console.log("skipped: there is no Chromium");
  browser = await launch();
  fixture = new Fixture(STATIC, [
    made({ id: "good", targets: 6, state: "succeeded" }),
    made({ id: "bad", targets: 12, state: "succeeded", seed: 2 }),
    made({ id: "many", targets: 1000, generation: 12, seed: 3 }),
  ]);
  url = await fixture.listen();
});

afterAll(async () => {
  await browser?.close();
  await fixture?.close();
});

test.skipIf(!hasChromium)("a study that cannot be read does not empty the gallery", async () => {
  fixture.failing = /studies\/bad$/;
  const [page] = await open(await browser.newContext(), `${url}#/oracle/cifar_cnn?layer=layer3&view=gallery`);
  await page.locator("a.tile").first().waitFor();
  expect(await page.getByText("these could not be read: bad").count()).toBe(1);
  fixture.failing = null;
  await page.context().close();
});

test.skipIf(!hasChromium)("the log of an ended study is read again after a failure", async () => {
  fixture.failing = /events-log$/;
  const [page] = await open(await browser.newContext(), `${url}#/study/good`);
  await page.getByText("the journal is damaged").waitFor();
  expect(await page.getByText("Nothing has happened yet.").count()).toBe(1);
  fixture.failing = null;
  await page.getByText("the study was created").waitFor();
  await page.context().close();
});

test.skipIf(!hasChromium)("an address that is not encoded properly is a page as any other", async () => {
  const [page, seen] = await open(await browser.newContext(), `${url}#/study/50%`);
  await page.getByRole("heading", { name: "50%" }).waitFor();
  await page.evaluate(() => {
    location.hash = "#/%E0%A4%A";
  });
  await page.getByText("There is no such page.").waitFor();
  expect(seen.errors.filter((text) => text.includes("URIError"))).toEqual([]);
  await page.context().close();
});

test.skipIf(!hasChromium)("a target that is looked at has its curve, however many there are", async () => {
  const asked: string[] = [];
  const context = await browser.newContext();
  context.on("request", (request) => {
    if (request.url().includes("/curves")) asked.push(new URL(request.url()).searchParams.get("targets") ?? "");
  });
  const [page, seen] = await open(context, `${url}#/study/many?t=503&pin=7`);
  await page.getByText("202 of 1,000 targets").waitFor();
  const last = asked.at(-1)?.split(",") ?? [];
  expect(last).toContain("503");
  expect(last).toContain("7");
  expect(seen.errors).toEqual([]);
  await context.close();
});
