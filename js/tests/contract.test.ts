// The viewer's half of signaling/: every vector and every transcript. Must not know the server's code.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fault } from "../src/core/validate";
import { decode, encode, HEADER_BYTES, readHeader, type ViewerMessage, WireError } from "../src/core/wire";
import { SHAPES } from "../src/core/wire.gen";
import { type Entry, Player, type Transcript } from "./transcript";

const SIGNALING = new URL("../../signaling/", import.meta.url);
const read = <T>(path: string): T => JSON.parse(readFileSync(new URL(path, SIGNALING), "utf8")) as T;

interface TextCase {
  readonly name: string;
  readonly from: "viewer" | "server";
  readonly text: string;
  readonly value?: { readonly type: string };
  readonly error?: number;
}

interface BytesCase {
  readonly name: string;
  readonly hex: string;
  readonly header?: object;
  readonly payload?: string;
  readonly error?: number;
}

const messages = read<readonly TextCase[]>("vectors/messages.json");
const frames = read<readonly BytesCase[]>("vectors/frames.json");
const transcripts = readdirSync(new URL("transcripts/", SIGNALING)).filter((name) => name.endsWith(".json"));

/** A viewer's message, as a server reads it. */
function decodeViewer(text: string): ViewerMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new WireError("not JSON");
  }
  const found = fault(SHAPES, "ViewerMessage", value);
  if (found !== undefined) throw new WireError(found);
  return value as ViewerMessage;
}

const parse = ({ from, text }: TextCase): object => (from === "server" ? decode(text) : decodeViewer(text));

describe("text", () => {
  test.each(messages.filter(({ value }) => value !== undefined))("$name", (one) => {
    expect(parse(one)).toEqual(one.value);
    if (one.from === "viewer") expect(JSON.parse(encode(one.value as ViewerMessage))).toEqual(one.value);
  });
  test.each(messages.filter(({ error }) => error !== undefined))("$name is refused", (one) => {
    expect(() => parse(one)).toThrow(WireError);
  });
});

describe("bytes", () => {
  test.each(frames.filter(({ header }) => header !== undefined))("$name", ({ hex, header, payload = "" }) => {
    const bytes = Buffer.from(hex, "hex");
    expect(readHeader(bytes)).toEqual(header);
    expect(bytes.subarray(HEADER_BYTES).toString("hex")).toBe(payload);
  });
  test.each(frames.filter(({ error }) => error !== undefined))("$name is refused", ({ hex }) => {
    expect(() => readHeader(Buffer.from(hex, "hex"))).toThrow(WireError);
  });
});

describe("conversations", () => {
  test("there are some", () => {
    expect(transcripts.length).toBeGreaterThanOrEqual(6);
  });
  test.each(transcripts)("%s, as the viewer has it", (name) => {
    const { viewer } = read<Transcript>(`transcripts/${name}`);
    const player = new Player(viewer);
    for (let at = 0; at < viewer.length; ) {
      const entry = viewer[at] as Entry;
      if (!("in" in entry)) throw new Error(`entry ${at} is an effect without a cause`);
      const out = viewer.slice(at + 1).findIndex((next) => "in" in next);
      const end = out < 0 ? viewer.length : at + 1 + out;
      const expected = viewer.slice(at + 1, end).map((next) => ("out" in next ? next.out : undefined));
      expect(player.play(entry.in), `after entry ${at}: ${JSON.stringify(entry.in).slice(0, 200)}`).toEqual(expected);
      at = end;
    }
  });
  test.each(transcripts)("%s: each side receives what the other sends, in order", (name) => {
    const { server, viewer } = read<Transcript>(`transcripts/${name}`);
    const messagesOf = (column: readonly Entry[], direction: "in" | "out"): readonly unknown[] =>
      column.flatMap((entry) => (direction in entry ? [(entry as Record<string, { readonly type?: string }>)[direction]] : [])).filter((line) => line?.type !== undefined);
    expect(messagesOf(server, "in")).toEqual(messagesOf(viewer, "out"));
    expect(messagesOf(viewer, "in")).toEqual(messagesOf(server, "out"));
  });
  test.each(transcripts)("%s has no message that the contract refuses", (name) => {
    for (const entry of read<Transcript>(`transcripts/${name}`).viewer) {
      const line = "in" in entry ? entry.in : entry.out;
      if ("type" in line) expect(() => ("in" in entry ? decode : decodeViewer)(JSON.stringify(line))).not.toThrow();
    }
  });
});
