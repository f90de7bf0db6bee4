/** Standard input and output as a monitor's channel. */

import type { MonitorChannel } from "./_session.ts";

/** Standard input and output, and whether a person types there. */
export interface StdioMonitor extends Disposable {
  readonly channel: MonitorChannel;
  readonly isTerminal: boolean;
}

/**
 * Takes standard input and output. A terminal gives each key at once and echoes nothing until it is
 * disposed of; its keys for signals work on.
 */
export function openStdio(): StdioMonitor {
  const isTerminal = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  if (isTerminal) Deno.stdin.setRaw(true, { cbreak: true });
  const reader = Deno.stdin.readable.getReader();
  let held: Uint8Array = new Uint8Array(0);
  let closed = false;
  const close = () => {
    if (closed) return;
    closed = true;
    reader.cancel().catch(() => {});
    if (isTerminal) Deno.stdin.setRaw(false);
  };
  const channel: MonitorChannel = {
    peer: "stdio",
    async read(into) {
      while (held.length === 0) {
        const { value, done } = await reader.read();
        if (done || closed) return null;
        held = value;
      }
      const part = held.subarray(0, into.length);
      into.set(part);
      held = held.subarray(part.length);
      return part.length;
    },
    write(bytes) {
      for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
      return Promise.resolve();
    },
    closeWrite: () => Promise.resolve(),
    close,
    [Symbol.asyncDispose]() {
      close();
      return Promise.resolve();
    },
  };
  return { channel, isTerminal, [Symbol.dispose]: close };
}
