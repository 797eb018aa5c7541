// The order in which codecs are tried. Must not know why one fails.
import { describe, expect, test } from "vitest";
import { CodecChoice } from "../src/core/codec-choice";

const choice = (): CodecChoice => new CodecChoice(["a", "b", "c"]);

test("the first choice is the server's", () => {
  expect(choice().asked).toBeUndefined();
  expect(choice().current).toBe("a");
});

test("after a failure the next codec is asked for, and after the last one none", () => {
  const one = choice();
  expect(one.next()).toBe("b");
  expect(one.asked).toBe("b");
  expect(one.next()).toBe("c");
  expect(one.next()).toBeUndefined();
  expect(one.asked).toBe("c");
});

describe("a server that took another codec than the first", () => {
  test("is followed by the codec after that", () => {
    const one = choice();
    one.offered("b");
    expect(one.current).toBe("b");
    expect(one.asked).toBeUndefined();
    expect(one.next()).toBe("c");
  });
  test("never leads back to a codec that failed", () => {
    const one = choice();
    one.next();
    one.offered("a");
    expect(one.current).toBe("b");
    expect(one.next()).toBe("c");
  });
  test("that is not in the list counts as the first", () => {
    const one = choice();
    one.offered("z");
    expect(one.next()).toBe("b");
  });
});

test("a new try forgets what the server took, and a reset also what failed", () => {
  const one = choice();
  one.offered("b");
  one.offered(undefined);
  expect(one.current).toBe("a");
  one.next();
  one.reset();
  expect(one.asked).toBeUndefined();
  expect(one.next()).toBe("b");
});

test("of a browser without codecs nothing is asked for", () => {
  const none = new CodecChoice([]);
  expect(none.current).toBeUndefined();
  expect(none.next()).toBeUndefined();
});
