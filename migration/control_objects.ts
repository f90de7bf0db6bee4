/** Objects by a monitor's commands: credentials, secrets, authorizations. */

import type { ObjectRegistry } from "../creds/mod.ts";
import { VirtcredsError } from "../base/mod.ts";
import { type JsonObject, readMembers, refused, text, writeJson } from "../monitor/mod.ts";

/**
 * `object-add`.
 *
 * @throws {MonitorError} `GENERIC` in QEMU's words.
 */
export async function addObject(objects: ObjectRegistry, args: JsonObject): Promise<void> {
  // The members of every object, in the order in which QEMU misses them.
  const { "qom-type": type, id } = args;
  readMembers({ "qom-type": text, id: text }, {
    ...(type === undefined ? {} : { "qom-type": type }),
    ...(id === undefined ? {} : { id }),
  });
  if (!/^[A-Za-z][\w.-]*$/.test(String(id))) {
    throw refused("Parameter 'id' expects an identifier");
  }
  await quoted(() => objects.add(writeJson(args)));
}

/** `object_add`, whose argument is that of `--object`. */
export async function addObjectText(objects: ObjectRegistry, option: string): Promise<void> {
  await quoted(() => objects.add(option));
}

/**
 * `object-del`.
 *
 * @throws {MonitorError} `GENERIC` in QEMU's words if there is none.
 */
export async function removeObject(objects: ObjectRegistry, id: string): Promise<void> {
  await quoted(() => objects.remove(id));
}

/** What QEMU says, without the name of a flag that nobody has typed. */
async function quoted(work: () => void | Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof VirtcredsError)) throw error;
    throw refused(error.message.replace(/^--object: /, ""));
  }
}
