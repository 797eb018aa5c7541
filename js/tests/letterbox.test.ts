// The kernel's words to a model reach its views, whenever those begin.
import { expect, test } from "vitest";
import { type Letter, letterboxOf, type Model } from "../src/main/letterbox";

class FakeModel implements Model {
  readonly listeners = new Map<string, Set<(...values: unknown[]) => void>>();
  constructor(private readonly name: string) {}
  get(): unknown {
    return this.name;
  }
  set(): void {}
  save_changes(): void {}
  send(): void {}
  on(event: string, listener: (...values: unknown[]) => void): void {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(listener));
  }
  off(event: string, listener: (...values: unknown[]) => void): void {
    this.listeners.get(event)?.delete(listener);
  }
  say(event: string, content?: unknown): void {
    for (const listener of [...(this.listeners.get(event) ?? [])]) listener(content);
  }
}

const TICKET = { type: "ticket", token: "a-token-of-some-length", port: 8765, stream: "default" };

function reads(model: Model): Letter[] {
  const letters: Letter[] = [];
  letterboxOf(model).read((letter) => letters.push(letter));
  return letters;
}

test("a ticket that came before the first view is there for every view, through any proxy of the model", () => {
  const model = new FakeModel("early");
  letterboxOf(model);
  model.say("msg:custom", TICKET);
  expect(reads(new FakeModel("early"))).toEqual([TICKET]);
  expect(reads(new FakeModel("early"))).toEqual([TICKET]);
});

test("models do not read each other's letters", () => {
  const model = new FakeModel("one");
  letterboxOf(model);
  model.say("msg:custom", TICKET);
  expect(reads(new FakeModel("other"))).toEqual([]);
});

test("a kernel that is gone is a letter too, and the last one counts", () => {
  const model = new FakeModel("restarted");
  const first = reads(model);
  model.say("msg:custom", TICKET);
  model.say("comm_live_update");
  expect(first.map(({ type }) => type)).toEqual(["ticket", "gone"]);
  expect(reads(model).map(({ type }) => type)).toEqual(["gone"]);
});

test("what is no letter is not delivered", () => {
  const model = new FakeModel("strange");
  const letters = reads(model);
  for (const content of [undefined, null, "ticket", {}, { type: "ticket" }, { type: "gone" }, { type: "other", token: "x" }]) model.say("msg:custom", content);
  expect(letters).toEqual([]);
});

test("a reader that has ended hears nothing; a model that has ended is forgotten", () => {
  const model = new FakeModel("ending");
  const end = new AbortController();
  const letters: Letter[] = [];
  const stop = letterboxOf(model, end.signal).read((letter) => letters.push(letter));
  stop();
  model.say("msg:custom", TICKET);
  expect(letters).toEqual([]);
  end.abort();
  expect([...model.listeners.values()].every((listeners) => listeners.size === 0)).toBe(true);
  expect(reads(new FakeModel("ending"))).toEqual([]);
});
