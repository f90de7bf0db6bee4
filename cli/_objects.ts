/** The objects of a program: `--object`, the engine that they work with, and their renewal. */

import type { ObjectRegistry } from "../creds/mod.ts";
import { type Flag, type Input, usage } from "./_command.ts";
import { untilSignal } from "./_console.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { reloadObjects } from "./_reload.ts";

/** Flags of every program that takes objects. */
export const OBJECT_FLAGS: readonly Flag[] = [
  {
    name: "object",
    value: "TYPE,id=ID,…",
    repeat: true,
    help: "an object as QEMU's -object takes it: tls-creds-x509, tls-creds-psk, secret, authz-…",
  },
  {
    name: "reload",
    help: "take renewed credentials into use when their files change, or on SIGHUP",
  },
  ENGINE_FLAG,
];

/**
 * Makes the objects of the flags, in their order; the caller disposes of them.
 *
 * @param howToUse Says how to name credentials, where nothing names any: whoever makes them does
 * not mean a plain channel.
 * @throws {BaseError} `USAGE` if there are credentials then.
 */
export async function makeObjects(
  input: Input,
  howToUse?: (id: string) => string,
): Promise<ObjectRegistry> {
  const { ObjectRegistry } = await import("../creds/mod.ts");
  const engine = await engineFor(input);
  const objects = new ObjectRegistry({ engine });
  try {
    for (const object of input.all("object")) await objects.add(object);
    const [id] = objects.tlsCredsIds();
    if (howToUse !== undefined && id !== undefined) {
      throw usage(`nothing uses the credentials '${id}': the channel would be plain`, [
        howToUse(id),
        "or leave their --object out, for a plain channel",
      ]);
    }
    return objects;
  } catch (error) {
    objects[Symbol.dispose]();
    throw error;
  }
}

/**
 * Runs a program that uses objects until it ends or a signal stops it; with `--reload` their files
 * are read again when they change and on SIGHUP. Gives the exit code, the work's own if it has one.
 */
export async function serveObjects(
  input: Input,
  objects: ObjectRegistry,
  work: (signal: AbortSignal) => Promise<number | void>,
): Promise<number> {
  if (!input.on("reload")) return await untilSignal(work);
  const reload = reloadObjects(objects);
  const { watchDirectories } = await import("../creds/mod.ts");
  return await untilSignal(async (signal) => {
    const end = new AbortController();
    signal.addEventListener("abort", () => end.abort(), { once: true });
    const changed = () => reload("changed");
    const watching = watchDirectories(objects.directories(), changed, end.signal);
    try {
      // Whoever cannot watch is told so at once, and not left with old credentials.
      return await Promise.race([work(signal), watching.then(() => new Promise<never>(() => {}))]);
    } finally {
      end.abort();
      await watching.catch(() => {});
    }
  }, () => void reload("asked"));
}
