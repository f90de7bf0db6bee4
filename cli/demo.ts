/** The whole road in a minute, on this machine alone. */

import { type Command, finish, runCommand } from "./_command.ts";
import { untilSignal } from "./_console.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";

const DEMO: Command = {
  name: "demo",
  summary:
    "Makes a CA and two hosts, checks them, carries a guest from one to the other and a line of text\n" +
    "through a serial port, all over mutual TLS, with real QEMU where it is installed",
  usage: "[--dir DIR] [--guest qemu|built-in] [--engine gnutls|platform]",
  examples: [
    ["deno task demo", "shows everything, in a new folder that it names"],
    ["deno task demo --guest built-in", "does without QEMU"],
  ],
  flags: [
    { name: "dir", value: "DIR", help: "the folder to make; a new temporary one by default" },
    {
      name: "guest",
      value: "KIND",
      choices: ["qemu", "built-in"],
      help: "real QEMU or the guest of this toolkit; QEMU where it is installed by default",
    },
    ENGINE_FLAG,
  ],
  exitOne: "something was not as it should be",
  async run(input) {
    const { demo, stopMachines } = await import("./_demo.ts");
    const dir = input.get("dir");
    const guest = input.get("guest") as "qemu" | "built-in" | undefined;
    const engine = await engineFor(input);
    return await untilSignal(async (signal) => {
      const stopped = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => {
        stopMachines();
        stopped.reject(signal.reason);
      });
      await Promise.race([
        demo({
          engine,
          ...(dir === undefined ? {} : { dir }),
          ...(guest === undefined ? {} : { guest }),
        }),
        stopped.promise,
      ]);
    });
  },
};

/** Runs the demo as a command; gives the exit code. */
export async function runDemo(args: readonly string[]): Promise<number> {
  return await runCommand(DEMO, args);
}

if (import.meta.main) await finish(() => runDemo(Deno.args));
