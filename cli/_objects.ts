/** The objects of a program: `--object`, and the engine that they work with. */

import type { ObjectRegistry } from "../creds/mod.ts";
import type { Flag, Input } from "./_command.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";

/** Flags of every program that takes objects. */
export const OBJECT_FLAGS: readonly Flag[] = [
  {
    name: "object",
    value: "TYPE,id=ID,…",
    repeat: true,
    help: "an object as QEMU's -object takes it: tls-creds-x509, tls-creds-psk, secret, authz-…",
  },
  ENGINE_FLAG,
];

/** Makes the objects of the flags, in their order; the caller disposes of them. */
export async function makeObjects(input: Input): Promise<ObjectRegistry> {
  const { ObjectRegistry } = await import("../creds/mod.ts");
  const engine = await engineFor(input);
  const objects = new ObjectRegistry({ engine });
  try {
    for (const object of input.all("object")) await objects.add(object);
    return objects;
  } catch (error) {
    objects[Symbol.dispose]();
    throw error;
  }
}
