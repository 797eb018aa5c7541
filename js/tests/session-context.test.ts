// What the parts of a session share. Must not know what they do with it.
import { beforeEach, describe, expect, test } from "vitest";
import { SessionContext } from "../src/core/session-context";
import { SessionView } from "../src/core/session-view";
import { CAMERA, DEPTH } from "./stage";

const capabilities = { codecs: ["h264"], webcodecs: ["h264", "vp8"] } as const;
let context: SessionContext;

beforeEach(() => {
  context = new SessionContext({ token: "t", agent: "test", capabilities });
  context.streams.replace([CAMERA, DEPTH]);
});

function subscribe(stream: string, mode: "lossless" | "webcodecs") {
  return context.subs.add({ stream, mode, codec: undefined, views: [] }, 0);
}

test("effects come in order, and once", () => {
  const message = { type: "unsubscribe", sub: 1 } as const;
  context.send(message);
  context.emit({ type: "connect" }, { type: "disconnect", code: 1000, reason: "" });
  expect(context.takeEffects()).toEqual([{ type: "send", message }, { type: "connect" }, { type: "disconnect", code: 1000, reason: "" }]);
  expect(context.takeEffects()).toEqual([]);
});

test("views of a subscription are those that are open", () => {
  const view = new SessionView(7, "camera", "auto", true, capabilities, context.retries);
  const sub = subscribe("camera", "lossless");
  context.views.set(7, view);
  sub.views.add(7);
  sub.views.add(8);
  expect(context.viewsOf(sub)).toEqual([view]);
});

test("units are carried by the subscription of their stream and kind", () => {
  const lossless = subscribe("camera", "lossless");
  const video = subscribe("camera", "webcodecs");
  expect(context.carrier(CAMERA.id, true)).toBe(lossless);
  expect(context.carrier(CAMERA.id, false)).toBe(video);
  expect(context.carrier(DEPTH.id, true)).toBeUndefined();
  expect(context.carrier(99, true)).toBeUndefined();
});

describe("the codec over the WebSocket", () => {
  test("is one for all views of a stream, and another one for another stream", () => {
    expect(context.webcodecsOf("camera").next()).toBe("vp8");
    expect(context.webcodecsOf("camera").asked).toBe("vp8");
    expect(context.webcodecsOf("depth").asked).toBeUndefined();
  });
  test("is chosen anew for a stream that comes back under its name", () => {
    context.webcodecsOf("camera").next();
    context.streams.replace([{ ...CAMERA, id: 5 }]);
    expect(context.webcodecsOf("camera").asked).toBeUndefined();
  });
});

test("what was learned of an engine is forgotten with it", () => {
  context.webcodecsOf("camera").next();
  context.retries.failed(1000);
  context.clock.echo(0, 510, 20);
  context.resetEngine();
  expect(context.webcodecsOf("camera").asked).toBeUndefined();
  expect(context.retries.next).toBe(0);
  expect(context.clock.known).toBe(false);
});
