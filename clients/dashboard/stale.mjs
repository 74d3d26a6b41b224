// Compares the committed page with a fresh build: fails where they differ.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const committed = join(import.meta.dirname, "../../blackbox_am/gateway/static");
const fresh = mkdtempSync(join(tmpdir(), "dashboard-"));
try {
  execFileSync("npx", ["vite", "build", "--logLevel", "error", "--outDir", fresh], {
    cwd: import.meta.dirname,
    stdio: "inherit",
  });
  const names = [...new Set([...readdirSync(committed), ...readdirSync(fresh)])].sort();
  const stale = names.filter((name) => content(committed, name) !== content(fresh, name));
  if (stale.length) {
    console.error(`stale in blackbox_am/gateway/static: ${stale.join(", ")}; run npm run build in clients/dashboard`);
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

function content(folder, name) {
  try {
    return readFileSync(join(folder, name), "latin1");
  } catch {
    return null;
  }
}
