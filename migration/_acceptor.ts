/** Where the connections of a target come from: a listener, or a command that is one. */

import { type ExecAddress, type Listener, startCommand, type Transport } from "../channel/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";

/** What gives connections, one after the other. */
export interface Acceptor {
  readonly address: Transport;
  accept: (...options: Parameters<Listener["accept"]>) => Promise<ByteChannel>;
}

/** Starts a command, which is the only connection; disposing ends it. */
export function commandAcceptor(address: ExecAddress): Acceptor & AsyncDisposable {
  const command = startCommand(address);
  let isTaken = false;
  return {
    address,
    accept(signal) {
      if (isTaken) return untilAborted(signal);
      isTaken = true;
      return Promise.resolve(command);
    },
    [Symbol.asyncDispose]: () => command[Symbol.asyncDispose](),
  };
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
