/** Descriptors that a client has sent, by name. */

import { closeDescriptor } from "../os/mod.ts";
import type { MonitorSession } from "./command.ts";
import { refused } from "./error.ts";

/**
 * Names the descriptor that came with the command.
 *
 * @throws {MonitorError} `GENERIC` If none came, or its name is a number.
 */
export function getfd(name: string, session: MonitorSession): void {
  const descriptor = session.takeDescriptor();
  if (descriptor === undefined) throw refused("No file descriptor supplied via SCM_RIGHTS");
  if (/^\d/.test(name)) {
    closeDescriptor(descriptor);
    throw refused("Parameter 'fdname' expects a name not starting with a digit");
  }
  session.descriptors.set(name, descriptor);
}

/**
 * Closes a descriptor that has a name.
 *
 * @throws {MonitorError} `GENERIC` If none has it.
 */
export function closefd(name: string, session: MonitorSession): void {
  const descriptor = session.descriptors.take(name);
  if (descriptor === undefined) throw refused(`File descriptor named '${name}' not found`);
  closeDescriptor(descriptor);
}
