// The kernel's messages to a model reach its views, whenever those begin. Must not know views.
import { expect, test } from "vitest";
import { findMailbox, type KernelMessage, mailboxOf, type Model } from "../src/main/mailbox";

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
  receive(event: string, content?: unknown): void {
    for (const listener of [...(this.listeners.get(event) ?? [])]) listener(content);
  }
}

const TICKET = { type: "ticket", token: "a-token-of-some-length", port: 8765, stream: "default" };

function reads(model: Model): KernelMessage[] {
  const messages: KernelMessage[] = [];
  mailboxOf(model).read((message) => messages.push(message));
  return messages;
}

test("a ticket that came before the first view reaches every view, through any proxy of the model", () => {
  const model = new FakeModel("early");
  mailboxOf(model);
  model.receive("msg:custom", TICKET);
  expect(reads(new FakeModel("early"))).toEqual([TICKET]);
  expect(reads(new FakeModel("early"))).toEqual([TICKET]);
});

test("a model does not get the messages of another", () => {
  const model = new FakeModel("one");
  mailboxOf(model);
  model.receive("msg:custom", TICKET);
  expect(reads(new FakeModel("other"))).toEqual([]);
});

test("a restart of the kernel is a message too, and the last message counts", () => {
  const model = new FakeModel("restarted");
  const first = reads(model);
  model.receive("msg:custom", TICKET);
  model.receive("comm_live_update");
  expect(first.map(({ type }) => type)).toEqual(["ticket", "gone"]);
  expect(reads(model).map(({ type }) => type)).toEqual(["gone"]);
});

test("other contents are not delivered", () => {
  const model = new FakeModel("strange");
  const messages = reads(model);
  for (const content of [undefined, null, "ticket", {}, { type: "ticket" }, { type: "gone" }, { type: "gone", reason: "toString" }, { type: "gone", reason: 7 }, { type: "other", token: "x" }]) model.receive("msg:custom", content);
  expect(messages).toEqual([]);
});

test("a reader that has ended gets nothing, and a model that has ended is removed", () => {
  const model = new FakeModel("ending");
  const end = new AbortController();
  const messages: KernelMessage[] = [];
  const stop = mailboxOf(model, end.signal).read((message) => messages.push(message));
  stop();
  model.receive("msg:custom", TICKET);
  expect(messages).toEqual([]);
  end.abort();
  expect([...model.listeners.values()].every((listeners) => listeners.size === 0)).toBe(true);
  expect(reads(new FakeModel("ending"))).toEqual([]);
});

test("a model is found by the name of its mailbox", () => {
  const model = new FakeModel("named");
  expect(findMailbox("named")).toBeUndefined();
  mailboxOf(model);
  expect(findMailbox("named")?.model).toBe(model);
});
