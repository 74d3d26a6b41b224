/** Debian's Chromium, without a network of its own. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

export const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
export const hasChromium = existsSync(CHROMIUM);

/** The page as it is built. */
export const STATIC = join(import.meta.dirname, "../../../../blackbox_am/gateway/static");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}

/** Errors of the console and of scripts that a page has had, and hosts that it asked. */
export interface Seen {
  errors: string[];
  hosts: Set<string>;
}

export async function open(context: BrowserContext, url: string): Promise<[Page, Seen]> {
  const page = await context.newPage();
  const seen: Seen = { errors: [], hosts: new Set() };
  page.on("console", (message) => {
    if (message.type() === "error") seen.errors.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("request", (request) => seen.hosts.add(new URL(request.url()).host));
  await page.goto(url);
  return [page, seen];
}
