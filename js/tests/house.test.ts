// The laws that no compiler holds. Must not know what any file does.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const SRC = new URL("../src/", import.meta.url);
const FOLDERS = ["core", "worker", "main"] as const;
const list = (folder: string): readonly string[] => readdirSync(new URL(`${folder}/`, SRC)).filter((name) => /\.ts$/.test(name)).map((name) => `${folder}/${name}`);
const read = (path: string): string => readFileSync(new URL(path, SRC), "utf8");
const TESTS = readdirSync(new URL("./", import.meta.url));

/** Types only, or generated: there is nothing to test in them. */
const WITHOUT_TEST = ["core/ports.ts", "core/transport.ts", "core/wire.gen.ts"];

/** The files of these folders in which `wrong` finds something. */
function offenders(folders: readonly string[], wrong: (text: string) => boolean): readonly string[] {
  return folders.flatMap(list).filter((path) => wrong(read(path)));
}

test("core/ reads no clock and draws no random numbers", () => {
  expect(offenders(["core"], (text) => /Math\.random|\bDate\b|performance\.|crypto\./.test(text))).toEqual([]);
});

test("core/ imports from core/ alone, worker/ and main/ from themselves and core/", () => {
  const wrong = (folder: string) => (text: string) =>
    [...text.matchAll(/from "(\.[^"]*)"/g)].some(([, from]) => !(from?.startsWith("./") || (folder !== "core" && from?.startsWith("../core/"))));
  for (const folder of FOLDERS) expect(offenders([folder], wrong(folder)), folder).toEqual([]);
});

test("no file writes markup", () => {
  expect(offenders(FOLDERS, (text) => /innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|createContextualFragment|DOMParser/.test(text))).toEqual([]);
});

test("no file runs text as a program", () => {
  expect(offenders(FOLDERS, (text) => /\beval\b|new Function|javascript:|setAttribute\("on|set(Timeout|Interval)\("/.test(text))).toEqual([]);
});

test("no file runs text as code", () => {
  expect(offenders(FOLDERS, (text) => /\beval\(|new Function\b|set(Timeout|Interval)\(["'`]|javascript:/.test(text))).toEqual([]);
});

test("every file opens with what it is and what it must not know", () => {
  expect(offenders(FOLDERS, (text) => !/^\/\/ .*\n(\/\/ .*\n)*?\/\/ Must not /.test(text))).toEqual([]);
});

test("every file of core/ has its test", () => {
  const missing = list("core").filter((path) => !TESTS.includes(path.replace("core/", "").replace(".ts", ".test.ts")));
  expect(missing).toEqual(WITHOUT_TEST);
});

test("every test has its file", () => {
  const files = new Set(FOLDERS.flatMap(list).map((path) => path.replace(/^\w+\//, "")));
  const strays = TESTS.filter((name) => name.endsWith(".test.ts") && !files.has(name.replace(".test.ts", ".ts")));
  expect(strays).toEqual(["contract.test.ts", "house.test.ts"]);
});

test("words for people are not used for programs, beside those that docs/glossary.md retires", () => {
  const retired = /\b(letter|told|hear|hears|heard|anxious)\b/i;
  expect(offenders(FOLDERS, (text) => retired.test(text))).toEqual([]);
});
