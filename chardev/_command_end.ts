/** A command of the shell as a local end. */

import { startCommand } from "../channel/mod.ts";
import { pullReader } from "./_pull.ts";
import type { ExecChardev } from "./kinds.ts";
import type { Backend } from "./local.ts";

/**
 * Starts it: what it prints is read, what is written is its standard input.
 *
 * @throws {ChannelError} `CONNECT_FAILED` If there is no shell.
 */
export function commandEnd({ command }: Pick<ExecChardev, "command">): Backend {
  const channel = startCommand({ kind: "exec", command });
  return {
    filename: `exec:${command}`,
    read: pullReader((into) => channel.read(into)),
    async write(bytes) {
      try {
        await channel.write(bytes);
      } catch (error) {
        throw new Deno.errors.BrokenPipe(String(error));
      }
    },
    endWrite: () => channel.closeWrite(),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}
