// What the kernel says to one model, heard from the model's beginning on and kept for its views.
// Must not know views, nor Jupyter: only the front-end model of anywidget.

export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, listener: (...values: unknown[]) => void): void;
  off(event: string, listener: (...values: unknown[]) => void): void;
  send(content: unknown): void;
}

/** Where the server is and what opens it; only a live kernel can say. */
export interface Ticket {
  readonly type: "ticket";
  readonly token: string;
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly stream?: string;
}

/** There will be no more pictures. */
export interface Gone {
  readonly type: "gone";
  readonly text: string;
}

export type Letter = Ticket | Gone;
type Reader = (letter: Letter) => void;

const RESTARTED: Gone = { type: "gone", text: "The kernel was restarted. Run the cells again." };

export class Letterbox {
  last: Letter | undefined;
  private readonly readers = new Set<Reader>();

  /** Listens to `model` until `signal` aborts. */
  constructor(model: Model, signal?: AbortSignal) {
    const hear = (content: unknown): void => this.take(content);
    // Jupyter's own word for a kernel that is not the one that made the model; other hosts never say it.
    const lost = (): void => this.take(RESTARTED);
    model.on("msg:custom", hear);
    model.on("comm_live_update", lost);
    signal?.addEventListener("abort", () => {
      model.off("msg:custom", hear);
      model.off("comm_live_update", lost);
    });
  }

  /** Calls `reader` with every letter, the last one first; returns what ends it. */
  read(reader: Reader): () => void {
    this.readers.add(reader);
    if (this.last !== undefined) reader(this.last);
    return () => this.readers.delete(reader);
  }

  private take(content: unknown): void {
    if (!isLetter(content)) return;
    this.last = content;
    for (const reader of [...this.readers]) reader(content);
  }
}

// A host may give every view a model object of its own: the trait tells what belongs together.
const letterboxes = new Map<string, Letterbox>();

/** The letterbox of the model: opened by the model itself where the host says when it begins, by its first view elsewhere. */
export function letterboxOf(model: Model, signal?: AbortSignal): Letterbox {
  const name = String(model.get("letterbox"));
  let found = letterboxes.get(name);
  if (found === undefined) {
    found = new Letterbox(model, signal);
    letterboxes.set(name, found);
    signal?.addEventListener("abort", () => letterboxes.delete(name));
  }
  return found;
}

function isLetter(content: unknown): content is Letter {
  if (typeof content !== "object" || content === null || !("type" in content)) return false;
  return content.type === "ticket" ? "token" in content : content.type === "gone" && "text" in content;
}
