/** What both chardev commands share: flags, objects, messages, signals. */

import type { SocketChardev } from "../chardev/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import { type Flag, type Input, usage } from "./_command.ts";
import { typed } from "./_help.ts";
import { say } from "./_console.ts";
import { makeObjects, OBJECT_FLAGS } from "./_objects.ts";

/** Flags of both. */
export const CHARDEV_FLAGS: readonly Flag[] = [
  {
    name: "chardev",
    value: "socket,id=ID,…",
    help:
      "the socket as QEMU's -chardev takes it; tls-hostname=NAME is our addition, wait= changes nothing",
  },
  ...OBJECT_FLAGS,
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
  if (text === undefined) throw usage("missing --chardev", `see: ${typed(command)} --help`);
  const { missingAuthz, parseSocketChardev } = await import("../chardev/mod.ts");
  const chardev = parseSocketChardev(text);
  for (const { text, hint } of chardev.warnings) say(`warning: ${text}`, hint);
  if (chardev.server !== server) {
    throw usage(
      `${command} is for a socket with server=${server ? "on" : "off"}`,
      server
        ? `add server=on, or connect: ${typed("chardev client")}`
        : `leave server= out, or serve: ${typed("chardev server")}`,
    );
  }
  const objects = await makeObjects(
    input,
    chardev.tlsCreds === undefined ? (id) => `add tls-creds=${id} to --chardev` : undefined,
  );
  const missing = missingAuthz(chardev, objects);
  if (missing !== undefined) {
    say(`warning: ${missing.message}: every peer will be refused`, ...missing.hints);
  }
  return { chardev, objects };
}
