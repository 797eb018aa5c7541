// The messages that the kernel sends to one widget model, kept for the views of that model.
// Must not know views, nor Jupyter: only the front-end model of anywidget.

import { isReasonCode, type ReasonCode } from "../core/reasons";

/** The front-end model of anywidget, as far as it is used. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, listener: (...values: unknown[]) => void): void;
  off(event: string, listener: (...values: unknown[]) => void): void;
  send(content: unknown): void;
}

/** Where the server is, and the token that it asks for. Only a running kernel can send it. */
export interface Ticket {
  readonly type: "ticket";
  readonly token: string;
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly stream?: string;
  /** Whether the port serves wss alone. */
  readonly secure?: boolean;
}

/** There will be no more pictures. */
export interface Gone {
  readonly type: "gone";
  readonly reason: ReasonCode;
}

export type KernelMessage = Ticket | Gone;
type Reader = (message: KernelMessage) => void;

const RESTARTED: Gone = { type: "gone", reason: "kernel_restarted" };

export class Mailbox {
  last: KernelMessage | undefined;
  private readonly readers = new Set<Reader>();

  /** Listens to `model` until `signal` aborts. */
  constructor(readonly model: Model, signal?: AbortSignal) {
    const receive = (content: unknown): void => this.receive(content);
    // Jupyter sends this event when the kernel is not the one that made the model. Other hosts never send it.
    const restarted = (): void => this.receive(RESTARTED);
    model.on("msg:custom", receive);
    model.on("comm_live_update", restarted);
    signal?.addEventListener("abort", () => {
      model.off("msg:custom", receive);
      model.off("comm_live_update", restarted);
    });
  }

  /** Calls `reader` with the last message, if there is one, and with every later one. Returns a function that ends this. */
  read(reader: Reader): () => void {
    this.readers.add(reader);
    if (this.last !== undefined) reader(this.last);
    return () => this.readers.delete(reader);
  }

  private receive(content: unknown): void {
    if (!isKernelMessage(content)) return;
    this.last = content;
    for (const reader of [...this.readers]) reader(content);
  }
}

// A host may give each view a model object of its own. Models with the same `mailbox` trait are one model.
const mailboxes = new Map<string, Mailbox>();

/** The mailbox of this name. By it, a transport over the kernel's comm finds its model. */
export function findMailbox(name: string): Mailbox | undefined {
  return mailboxes.get(name);
}

/** The mailbox of the model. The first caller opens it: the model itself where the host runs `initialize`, else its first view. */
export function mailboxOf(model: Model, signal?: AbortSignal): Mailbox {
  const name = String(model.get("mailbox"));
  let found = findMailbox(name);
  if (found === undefined) {
    found = new Mailbox(model, signal);
    mailboxes.set(name, found);
    signal?.addEventListener("abort", () => mailboxes.delete(name));
  }
  return found;
}

function isKernelMessage(content: unknown): content is KernelMessage {
  if (typeof content !== "object" || content === null || !("type" in content)) return false;
  return content.type === "ticket" ? "token" in content : content.type === "gone" && "reason" in content && isReasonCode(content.reason);
}
