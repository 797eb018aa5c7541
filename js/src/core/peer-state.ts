// The session's side of the peer connection: its number, whether it is connected, and which view shows which media section.
// Must not know SDP, nor RTCPeerConnection: it returns commands.

import type { PeerCommand } from "./ports";

export class PeerState {
  /** The server's number of the connection; meaningless before the first offer. */
  id = 0; // mutants: any number will do before the first offer
  connected = false;
  private open = false;
  private attached: ReadonlyMap<number, string> = new Map();

  isCurrent(peer: number): boolean {
    return this.open && peer === this.id;
  }

  /** An offer for a peer of another number is for a new connection. */
  offered(peer: number): void {
    if (this.isCurrent(peer)) return;
    this.id = peer;
    this.open = true;
    this.connected = false;
  }

  /** Both ends close the connection with its last subscription, without a message. */
  close(): readonly PeerCommand[] {
    const commands: PeerCommand[] = this.open ? [...this.attach(new Map()), { type: "peer_close", peer: this.id }] : [];
    this.open = false;
    this.connected = false;
    return commands;
  }

  /** `wanted`: the media section that each view shows, by view. Returns the commands for what differs from before. */
  attach(wanted: ReadonlyMap<number, string>): readonly PeerCommand[] {
    const gone = [...this.attached.keys()].filter((view) => !wanted.has(view));
    const moved = [...wanted].filter(([view, mid]) => this.attached.get(view) !== mid);
    this.attached = wanted;
    return [
      ...gone.map((view) => ({ type: "peer_detach", view }) as const),
      ...moved.map(([view, mid]) => ({ type: "peer_attach", peer: this.id, mid, view }) as const),
    ];
  }
}
