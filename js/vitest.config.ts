// Unit tests run in Node: everything under test is pure. Must not need a browser; tests/e2e does that.
import { defineConfig } from "vitest/config";
import { wasmPlugin } from "./scripts/wasm.mjs";

export default defineConfig({
  plugins: [wasmPlugin()],
  test: { root: new URL(".", import.meta.url).pathname, include: ["tests/**/*.test.ts"], environment: "node", pool: "threads" },
});
