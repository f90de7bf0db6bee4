/** What both chardev commands share: flags, objects, messages, signals. */

import type { SocketChardev } from "../chardev/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import type { EngineName } from "../engine/mod.ts";
import { VirtcredsError } from "../base/mod.ts";
import { type Flag, type Input, printable, usage } from "./_command.ts";

/** Flags of both. */
export const CHARDEV_FLAGS: readonly Flag[] = [
  {
    name: "object",
    value: "TYPE,id=ID,…",
    repeat: true,
    help: "an object as QEMU's -object takes it: tls-creds-x509, tls-creds-psk, secret, authz-…",
  },
  {
    name: "chardev",
    value: "socket,id=ID,…",
    help: "the socket as QEMU's -chardev takes it; tls-hostname=NAME is our addition",
  },
  {
    name: "engine",
    value: "NAME",
    choices: ["gnutls", "platform"],
    help: "what does TLS; the best that works here when absent",
  },
];

/** How both end. */
export const CHARDEV_NOTES = `It joins the socket with standard input and output until either ends.
When standard input ends after it has given something, what the peer still sends is passed on until
the peer is silent for a second; an empty one (</dev/null) is not waited for: it only listens.
A terminal is raw meanwhile, Ctrl-] ends it. A signal ends it with 128 and its number.`;

/** Makes a device from the flags, and the objects it may name; the caller disposes of them. */
export async function readDevice(
  input: Input,
  command: string,
  server: boolean,
): Promise<{ chardev: SocketChardev; objects: ObjectRegistry }> {
  const text = input.get("chardev");
  if (text === undefined) throw usage("missing --chardev", `see ${command} --help`);
  const { parseSocketChardev } = await import("../chardev/mod.ts");
  const chardev = parseSocketChardev(text);
  for (const { text, hint } of chardev.warnings) say(`warning: ${text}`, hint);
  if (chardev.server !== server) {
    throw usage(
      `${command} is for a socket with server=${server ? "on" : "off"}`,
      server ? "add server=on, or run the client" : "leave server= out, or run the server",
    );
  }
  const { chooseEngine } = await import("../engine/mod.ts");
  const { ObjectRegistry } = await import("../creds/mod.ts");
  const engine = await chooseEngine(input.get("engine") as EngineName | undefined);
  const objects = new ObjectRegistry({ engine });
  try {
    for (const object of input.all("object")) await objects.add(object);
  } catch (error) {
    objects[Symbol.dispose]();
    throw error;
  }
  return { chardev, objects };
}

/** Tells the person at the console something, with advice. */
export function say(text: string, ...hints: readonly string[]): void {
  console.error([text, ...hints.map((hint) => `hint: ${hint}`)].join("\n"));
}

/** Tells of a failure that does not end the program. */
export function sayError(subject: string, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const known = error instanceof VirtcredsError;
  say(
    `error: ${subject}: ${known ? message : printable(message)}`,
    ...(known ? error.hints : []),
  );
}

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs work that SIGINT, SIGTERM and SIGHUP stop through its `AbortSignal`, so that it puts the
 * terminal and its socket file in order; gives the exit code.
 */
export async function untilSignal(work: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const stop = new AbortController();
  let code = 0;
  const listeners = Object.entries(SIGNALS).map(([name, number]) => {
    const listener = () => {
      code = 128 + number;
      stop.abort();
    };
    Deno.addSignalListener(name as Deno.Signal, listener);
    return () => Deno.removeSignalListener(name as Deno.Signal, listener);
  });
  try {
    await work(stop.signal);
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return code;
    throw error;
  } finally {
    for (const remove of listeners) remove();
  }
}
