import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";

// File names carry no digest: the server sends ETags, and the built files are compared with a
// fresh build.
const names = {
  entryFileNames: "[name].js",
  chunkFileNames: "[name].js",
  assetFileNames: "[name][extname]",
};

const { version } = JSON.parse(readFileSync("package.json", "utf-8")) as { version: string };

export default defineConfig({
  base: "./",
  define: { __VERSION__: JSON.stringify(version) },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../../blackbox_am/gateway/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    rolldownOptions: { output: { ...names, codeSplitting: false } },
  },
  worker: { format: "es", rolldownOptions: { output: names } },
  server: { proxy: { "/api": process.env["BLACKBOX_AM_DASHBOARD"] ?? "http://127.0.0.1:8080" } },
  test: {
    include: ["tests/**/*.test.ts"],
    testTimeout: 90_000,
    hookTimeout: 120_000,
    fileParallelism: false, // the tests in a browser share two cores with a server
  },
});
