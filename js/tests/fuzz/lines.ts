// The viewer's session as a program: an input on each line of the standard input, what it does about it on a line of the output.
// Must not know who is at the other end: tests/fuzz/pairs.py has the server's session there.
import { createInterface } from "node:readline";
import type { Capabilities } from "../../src/core/capabilities";
import type { Effect, SessionInput } from "../../src/core/ports";
import { Session } from "../../src/core/session";
import { decode, encode } from "../../src/core/wire";

type Line =
  | { readonly begin: Capabilities }
  /** `text`: a message of the server, as it came over the socket. */
  | { readonly now: number; readonly text: string }
  | { readonly now: number; readonly input: SessionInput };

let session: Session | undefined;

function answer(line: Line): unknown {
  if ("begin" in line) {
    session = new Session({ token: "t".repeat(22), agent: "pair", capabilities: line.begin });
    return {};
  }
  if (session === undefined) throw new Error("it begins with `begin`");
  const input = "text" in line ? ({ type: "message", message: decode(line.text) } as const) : line.input;
  const effects = session.feed(input, line.now).map(written);
  return { effects, deadline: Number.isFinite(session.deadline) ? session.deadline : null };
}

/** A message is written as it leaves. */
function written(effect: Effect): unknown {
  return effect.type === "send" ? { type: "send", text: encode(effect.message) } : effect;
}

createInterface({ input: process.stdin }).on("line", (text) => {
  let found: unknown;
  try {
    found = answer(JSON.parse(text) as Line);
  } catch (error) {
    found = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  process.stdout.write(`${JSON.stringify(found)}\n`);
});
