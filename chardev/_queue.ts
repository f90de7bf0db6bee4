/** Verified clients that wait for their turn, as long as they want to. */

import type { VirtcredsError } from "../base/mod.ts";
import type { ChardevChannel } from "./describe.ts";
import { type ChardevError, isPeerFault } from "./error.ts";
import { sayGoodbye } from "./farewell.ts";
import { hangUp } from "./hang_up.ts";

/** Those who wait, the first one first. */
export interface Queue {
  readonly length: number;
  push(channel: ChardevChannel): void;
  shift(): ChardevChannel | undefined;
  /** Sends them all away, inside TLS with a goodbye. */
  close(): Promise<void>;
}

/** As much as is taken from a client before its turn, in bytes. */
const FIRST_READ = 4096;

/**
 * Makes a queue that lets a client go which ends its connection before it has said anything. One
 * that has said something keeps its place even then: what it said is passed on in its turn.
 *
 * @param onLeft Hears of each that went, and why if it was as of one who refuses us.
 */
export function makeQueue(onLeft: (peer: string, refusal?: ChardevError) => void): Queue {
  const all: ChardevChannel[] = [];

  function leave(channel: ChardevChannel, since: number, fault?: VirtcredsError): void {
    const place = all.indexOf(channel);
    if (place < 0) return;
    all.splice(place, 1);
    const passed = { received: 0, sent: 0 };
    const end = fault === undefined
      ? { by: "peer" as const, ...passed }
      : { by: "fault" as const, error: fault, ...passed };
    const refusal = hangUp(channel, end, performance.now() - since);
    channel.close();
    onLeft(channel.peer, refusal);
  }

  return {
    get length() {
      return all.length;
    },
    push(channel) {
      const since = performance.now();
      all.push(channel);
      readFirst(channel).then(
        (count) => count === null && leave(channel, since),
        (error) => leave(channel, since, isPeerFault(error) ? error : undefined),
      );
    },
    shift: () => all.shift(),
    async close() {
      await Promise.all(all.splice(0).map(sayGoodbye));
    },
  };
}

/** Starts the first read of a channel; whoever reads it later gets what came. */
function readFirst(channel: ChardevChannel): Promise<number | null> {
  const read = channel.read.bind(channel);
  const buffer = new Uint8Array(FIRST_READ);
  const first = read(buffer);
  let rest: Uint8Array | undefined;
  channel.read = async (into) => {
    if (rest === undefined) {
      const count = await first;
      if (count === null) return null;
      rest = buffer.subarray(0, count);
    }
    if (rest.length === 0) return await read(into);
    const part = rest.subarray(0, into.length);
    into.set(part);
    rest = rest.subarray(part.length);
    if (rest.length === 0) channel.read = read;
    return part.length;
  };
  return first;
}
