// Plays the viewer's column of a transcript (signaling/transcripts/): feeds what comes in, and returns what goes out.
// Must not know any conversation.

import type { Capabilities } from "../src/core/capabilities";
import type { Effect, SessionInput } from "../src/core/ports";
import { Session } from "../src/core/session";
import type { CodecName, RenderviewEvent, ServerMessage } from "../src/core/wire";

/** A wire message (`type`), or something local (`event`): an input or effect of the session under its own name, or `wait`. */
type Line = { readonly type: string } | { readonly event: string };
export type Entry = { readonly in: Line } | { readonly out: Line };

export interface Transcript {
  readonly name: string;
  /** What each stream has, by its name; without it, the codecs of halved chroma. */
  readonly codecs?: Readonly<Record<string, readonly CodecName[]>>;
  readonly server: readonly Entry[];
  readonly viewer: readonly Entry[];
}

const START_MS = 1_000_000;
const TOKEN = "token";
const DEFAULT: Capabilities = { codecs: ["h264", "vp8"], webcodecs: ["h264", "vp8"] };

/** The effects that a transcript names; the others stay inside the page. */
const NAMED: readonly string[] = ["connect", "disconnect", "peer_offer", "peer_attach", "peer_detach", "peer_close"];

export class Player {
  private now = START_MS;
  private readonly session: Session;

  constructor(entries: readonly Entry[]) {
    this.session = new Session({ token: TOKEN, agent: "viewer", capabilities: capabilitiesOf(entries) });
  }

  /** What the session does when `line` happens. */
  play(line: Line): readonly Line[] {
    if ("type" in line) return this.feed({ type: "message", message: line as ServerMessage });
    if (line.event === "wait") return this.wait((line as unknown as { readonly ms: number }).ms);
    if (line.event === "view_input") return this.input(line as unknown as { readonly view: number; readonly input: RenderviewEvent });
    const { event, ...fields } = line;
    return this.feed({ type: event, ...fields } as SessionInput);
  }

  /** The one input whose own `event` needs another name here. */
  private input({ view, input }: { readonly view: number; readonly input: RenderviewEvent }): readonly Line[] {
    return this.feed({ type: "view_input", view, event: input });
  }

  private wait(ms: number): readonly Line[] {
    const end = this.now + ms;
    const lines: Line[] = [];
    while (this.session.deadline <= end) {
      this.now = Math.max(this.now, this.session.deadline);
      lines.push(...this.feed({ type: "tick" }));
    }
    this.now = end;
    return [...lines, ...this.feed({ type: "tick" })];
  }

  private feed(input: SessionInput): readonly Line[] {
    return this.session.feed(input, this.now).flatMap(linesOf);
  }
}

/** The capabilities in the transcript's `hello`. */
function capabilitiesOf(entries: readonly Entry[]): Capabilities {
  const hello = entries.flatMap((entry) => ("out" in entry && "type" in entry.out && entry.out.type === "hello" ? [entry.out] : []))[0];
  const { codecs, webcodecs } = { ...DEFAULT, ...(hello as Partial<Capabilities> | undefined) };
  return { codecs, webcodecs };
}

function linesOf(effect: Effect): readonly Line[] {
  if (effect.type === "send") return [effect.message];
  if (effect.type === "view_status") {
    const { state, showing, reason } = effect.status;
    return [{ event: "view_status", view: effect.view, state, showing, reason } as Line];
  }
  if (!NAMED.includes(effect.type)) return [];
  const { type, ...fields } = effect;
  return [{ event: type, ...fields }];
}
