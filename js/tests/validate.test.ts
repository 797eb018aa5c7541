// The validator against ajv, on the same schema and values. Must not know what messages mean.
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { fault, isFields, type Shape } from "../src/core/validate";
import { SHAPES } from "../src/core/wire.gen";

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(`../../signaling/${path}`, import.meta.url), "utf8"));
const schema = read("schema.json") as { $defs: Record<string, object> };
const vectors = read("vectors/messages.json") as { from: "viewer" | "server"; value?: Record<string, unknown> }[];

const ajv = new Ajv2020({ strict: false });
ajv.addSchema(schema, "contract");
const theirs = (name: string, value: unknown): boolean => ajv.validate(`contract#/$defs/${name}`, value) === true;
const ours = (name: string, value: unknown): boolean => fault(SHAPES, name, value) === undefined;

/** Each field replaced, removed or joined by another; one level of arrays and objects deep. */
function* mutants(value: Record<string, unknown>): Generator<unknown> {
  const odd = [null, "", "x".repeat(70_000), -1, 0, 0.5, 1e308, 2 ** 32, 2 ** 53, true, [], {}, [{}], ["h265"], [null]];
  for (const name of Object.keys(value)) {
    for (const one of odd) yield { ...value, [name]: one };
    const { [name]: _, ...rest } = value;
    yield rest;
    for (const one of inside(value[name])) yield { ...value, [name]: one };
  }
  yield { ...value, more: 1 };
}

function* inside(field: unknown): Generator<unknown> {
  const inner: unknown = Array.isArray(field) ? field[0] : field;
  if (!isFields(inner)) return;
  for (const one of mutants(inner)) yield Array.isArray(field) ? [one] : one;
}

describe("as ajv", () => {
  const accepted = vectors.flatMap(({ from, value }) => (value === undefined ? [] : [{ from, value }]));
  test.each(accepted)("$from $value.type, and all that is nearly so", ({ from, value }) => {
    const name = from === "viewer" ? "ViewerMessage" : "ServerMessage";
    expect(ours(name, value)).toBe(true);
    let count = 0;
    for (const mutant of mutants(value)) {
      count += 1;
      if (ours(name, mutant) !== theirs(name, mutant)) expect.fail(`differs from ajv: ${JSON.stringify(mutant).slice(0, 300)}`);
    }
    expect(count).toBeGreaterThan(10);
  });
  test.each([undefined, null, 1, "hello", [], {}, { type: "no" }, { type: null }])("%j is no message", (value) => {
    expect(ours("ServerMessage", value)).toBe(false);
  });
});

test("a fault names the field", () => {
  expect(fault(SHAPES, "ServerMessage", { type: "streams", streams: [{ id: 1, name: "a", width: 0, height: 1, fps: 1 }] })).toBe(
    "ServerMessage.streams[0].width is out of range",
  );
});

test("code points are counted, not UTF-16 units", () => {
  const hello = (token: string): object => ({ type: "hello", version: 1, token, codecs: [] });
  expect(ours("ViewerMessage", hello("🎥".repeat(256)))).toBe(true);
  expect(ours("ViewerMessage", hello("🎥".repeat(257)))).toBe(false);
});

describe("a shape of its own", () => {
  const of = (shape: object, value: unknown): string | undefined => fault({ S: shape as Shape }, "S", value);

  test("limits the items of an array at both ends", () => {
    const shape = { type: "array", minItems: 1, maxItems: 2, items: { type: "boolean" } };
    expect(of(shape, [])).toBe("S has 0 items");
    expect([of(shape, [true]), of(shape, [true, false])]).toEqual([undefined, undefined]);
    expect(of(shape, [true, true, true])).toBe("S has 3 items");
    expect(of(shape, [true, 1])).toBe("S[1] is not a boolean");
    expect(of({ type: "array" }, [1, "a", null])).toBeUndefined();
    expect(of({ type: "array" }, {})).toBe("S is not an array");
  });
  test("limits the fields of an object, and the length of their names", () => {
    const shape = { type: "object", maxProperties: 2, propertyNames: { maxLength: 2 }, additionalProperties: { type: "boolean" } };
    expect([of(shape, {}), of(shape, { a: true, bc: false })]).toEqual([undefined, undefined]);
    expect(of(shape, { a: true, b: true, c: true })).toBe("S has 3 fields");
    expect(of(shape, { abc: true })).toBe("a name in S has 3 characters");
    expect(of(shape, { a: 1 })).toBe("S.a is not a boolean");
  });
  test("limits the length of a string at both ends, and its pattern", () => {
    const shape = { type: "string", minLength: 1, maxLength: 2 };
    expect([of(shape, ""), of(shape, "a"), of(shape, "ab"), of(shape, "abc")]).toEqual(["S has 0 characters", undefined, undefined, "S has 3 characters"]);
    expect([of({ type: "string", maxLength: 2 }, "ab"), of({ type: "string", maxLength: 2 }, "abc")]).toEqual([undefined, "S has 3 characters"]);
    expect([of({ type: "string", minLength: 2 }, "a"), of({ type: "string", minLength: 2 }, "🎥🎥")]).toEqual(["S has 1 characters", undefined]);
    expect([of({ type: "string", pattern: "^a+$" }, "aa"), of({ type: "string", pattern: "^a+$" }, "ab")]).toEqual([undefined, "S does not match ^a+$"]);
    expect(of({ type: "string" }, "")).toBeUndefined();
  });
  test("takes finite numbers within its limits", () => {
    const shape = { type: "number", minimum: 1, maximum: 2 };
    expect([0.9, 1, 2, 2.1].map((value) => of(shape, value) === undefined)).toEqual([false, true, true, false]);
    for (const value of [Number.NaN, Infinity, -Infinity, "1"]) expect(of({ type: "number" }, value)).toBe("S is not a number");
    expect(of({ type: "integer" }, 1.5)).toBe("S is not an integer");
  });
});
