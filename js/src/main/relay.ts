// Lends the worker a transport that only the main thread can open. `worker/port.ts` is at the other end of the port.
// Must not know messages, nor how a transport works.

import type { OpenTransport, RelayCommand, RelayEvent, Transport } from "../core/transport";

export class Relay {
  /** For the worker. */
  readonly port: MessagePort;
  private readonly mine: MessagePort;
  private transport: Transport | undefined;
  private id = 0;

  constructor(
    private readonly url: string,
    private readonly open: OpenTransport,
  ) {
    const { port1, port2 } = new MessageChannel();
    this.mine = port1;
    this.port = port2;
    this.mine.onmessage = ({ data }: MessageEvent<RelayCommand>) => this.execute(data);
  }

  /** The worker is about to end, or has ended without a word. */
  end(): void {
    this.transport?.close(1000, "");
    this.transport = undefined;
    this.mine.close();
  }

  private execute(command: RelayCommand): void {
    if (command.type === "open") return this.connect(command.id);
    // What the worker sent to a connection before it knew of its end.
    if (command.id !== this.id) return;
    if (command.type === "send") this.transport?.send(command.text);
    else this.transport?.close(command.code, command.reason);
  }

  private connect(id: number): void {
    this.id = id;
    this.transport = this.open(this.url, {
      opened: () => this.post({ type: "opened", id }),
      message: (data) => {
        if (typeof data === "string") return this.post({ type: "message", id, data });
        // A copy of its own: `data` may be a part of a larger buffer, and that would travel whole.
        const bytes = data.slice();
        this.post({ type: "message", id, data: bytes }, [bytes.buffer]);
      },
      closed: (code, reason) => {
        if (id === this.id) this.transport = undefined;
        this.post({ type: "closed", id, code, reason });
      },
    });
  }

  private post(event: RelayEvent, transfer: Transferable[] = []): void {
    this.mine.postMessage(event, transfer);
  }
}
