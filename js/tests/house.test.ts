// The laws that no compiler holds. Must not know what any file does.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const SRC = new URL("../src/", import.meta.url);
const list = (folder: string): readonly string[] => readdirSync(new URL(`${folder}/`, SRC)).filter((name) => name.endsWith(".ts"));
const read = (path: string): string => readFileSync(new URL(path, SRC), "utf8");
const core = list("core").filter((name) => name !== "wire.gen.ts");

describe("core/", () => {
  test.each(core)("%s reads no clock and draws no lots", (name) => {
    expect(read(`core/${name}`)).not.toMatch(/Math\.random|\bDate\b(?!\s*\.)|new Date|Date\.now|performance\.|crypto\./);
  });
  test.each(core)("%s imports from core alone", (name) => {
    for (const [, from] of read(`core/${name}`).matchAll(/from "([^"]+)"/g)) expect(from).toMatch(/^\.\//);
  });
  test("every file with logic has its test", () => {
    const tests = new Set(readdirSync(new URL("./", import.meta.url)));
    const bare = core.filter((name) => !tests.has(name.replace(".ts", ".test.ts")));
    expect(bare.sort()).toEqual(["ports.ts", "viewing.ts"]); // types only; the session's tests are its
  });
});

test.each(list("main").flatMap((name) => [`main/${name}`]))("%s writes no markup", (path) => {
  expect(read(path)).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
});

test.each(list("worker").flatMap((name) => [`worker/${name}`]))("%s does not know main/", (path) => {
  expect(read(path)).not.toMatch(/from "\.\.\/main\//);
});
