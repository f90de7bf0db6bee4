/** A command in the place of a connection: QEMU's `exec:CMD`. */

import { pause, unlessLate } from "../base/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { descendants, signalAll } from "./_process_tree.ts";
import { ChannelError, kernelReason } from "./error.ts";

/** A command of `/bin/sh`, whose standard output is read and whose standard input is written. */
export interface ExecAddress {
  readonly kind: "exec";
  readonly command: string;
}

/** A command that runs, as a channel. */
export interface CommandChannel extends ByteChannel {
  /** Its exit code, once it has ended. */
  readonly exit: Promise<number>;
}

/** ms that a command may take to end once nobody talks to it any more. */
const GRACE = 2_000;
/** ms that what a shell started has for its end before it is killed. */
const TERM_GRACE = 500;
const EMPTY = new Uint8Array(0);

/**
 * Starts a command with `/bin/sh -c`, as QEMU does (migration/exec.c). Its standard error is
 * ours. Disposing ends it; who wants to know what became of it waits for `exit` first.
 *
 * @throws {ChannelError} `CONNECT_FAILED` If there is no shell.
 */
export function startCommand(address: ExecAddress): CommandChannel {
  const peer = `exec:${address.command}`;
  const child = spawn(address.command, peer);
  const [reader, writer] = [child.stdout.getReader(), child.stdin.getWriter()];
  const exit = child.status.then(({ code }) => code);
  let held: Uint8Array = EMPTY;
  let closed = false;

  const channel: CommandChannel = {
    peer,
    exit,
    async read(into) {
      while (held.length === 0) {
        const { value, done } = await reader.read();
        if (closed) return null;
        if (done) return await endOf(exit, peer);
        held = value;
      }
      const part = held.subarray(0, into.length);
      into.set(part);
      held = held.subarray(part.length);
      return part.length;
    },
    async write(bytes) {
      if (closed) throw new ChannelError("CHANNEL_CLOSED", { peer });
      try {
        await writer.write(bytes);
      } catch (error) {
        if (closed) throw new ChannelError("CHANNEL_CLOSED", { peer });
        throw new ChannelError("CHANNEL_WRITE", { peer, cause: kernelReason(error) }, {
          cause: error,
        });
      }
    },
    async closeWrite() {
      // A command that is gone already needs no goodbye.
      await writer.close().catch(() => {});
    },
    close() {
      if (closed) return;
      closed = true;
      held = EMPTY;
      reader.cancel().catch(() => {});
      writer.abort().catch(() => {});
    },
    async [Symbol.asyncDispose]() {
      channel.close();
      if (await endsIn(exit, GRACE)) return;
      const below = descendants(child.pid);
      child.kill("SIGTERM");
      if (signalAll(below, "SIGTERM")) await pause(TERM_GRACE);
      if (!await endsIn(exit, GRACE)) child.kill("SIGKILL");
      signalAll(below, "SIGKILL");
      await endsIn(exit, GRACE);
    },
  };
  return channel;
}

function spawn(command: string, peer: string): Deno.ChildProcess {
  try {
    return new Deno.Command("/bin/sh", {
      args: ["-c", command],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const hint = "exec: needs /bin/sh; tcp: and unix: need no command";
    throw new ChannelError("CONNECT_FAILED", { peer, cause: kernelReason(error), hint }, {
      cause: error,
    });
  }
}

/** The end of its output is a good one unless the command says otherwise soon. */
async function endOf(exit: Promise<number>, peer: string): Promise<null> {
  if (await endsIn(exit, GRACE) && await exit !== 0) throw commandFailed(peer, await exit);
  return null;
}

/** The error of a command that ended with another code than 0. */
export function commandFailed(peer: string, code: number): ChannelError {
  return new ChannelError("COMMAND_FAILED", {
    peer,
    value: String(code),
    hint: "what it printed stands above; try it by itself in a shell",
  });
}

async function endsIn(exit: Promise<number>, ms: number): Promise<boolean> {
  return await unlessLate(exit.then(() => true), ms) ?? false;
}
