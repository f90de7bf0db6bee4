/** The connections that have proved nothing yet: how many there may be, and who goes. */

import type { ByteChannel } from "../engine/mod.ts";
import { ChannelError } from "./error.ts";

/** Connections that may be in their handshake or before their first byte at once. */
export const MAX_UNPROVED = 64;

/** A connection that waits. */
export interface Waiting {
  readonly raw: ByteChannel;
  /** Whether the peer has proved who it is. */
  verified: boolean;
  /** Why it had to go, if it had. */
  dropped?: ChannelError;
}

/** All that wait, the oldest first. */
export class WaitingRoom {
  readonly #all = new Set<Waiting>();

  constructor(readonly capacity: number = MAX_UNPROVED) {}

  /**
   * Takes a connection in. Where there is no room the oldest one goes that has proved nothing:
   * who only holds connections open keeps nobody out who has something to say.
   */
  enter(raw: ByteChannel): Waiting {
    const waiting: Waiting = { raw, verified: false };
    if (this.#all.size >= this.capacity) {
      const oldest = [...this.#all].find(({ verified }) => !verified);
      this.#drop(oldest ?? waiting);
      if (oldest === undefined) return waiting;
    }
    this.#all.add(waiting);
    return waiting;
  }

  leave(waiting: Waiting): void {
    this.#all.delete(waiting);
  }

  #drop(waiting: Waiting): void {
    this.leave(waiting);
    waiting.dropped = new ChannelError("CROWDED", {
      peer: waiting.raw.peer,
      value: String(this.capacity),
      hint:
        "a firewall may keep out who has no business here: `ss -tn` shows who holds connections",
    });
    waiting.raw.close();
  }
}
