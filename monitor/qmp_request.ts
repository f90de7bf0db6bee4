/** What a client sends: a command with its arguments, checked as QEMU checks it. */

import { refused } from "./error.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json.ts";

/** A command, ready to be looked up. */
export interface QmpRequest {
  readonly command: string;
  readonly args: JsonObject;
}

/**
 * Reads a request (qapi/qmp-dispatch.c, `qmp_dispatch_check_obj`) of a client that has not enabled
 * out-of-band, which none can.
 *
 * @throws {MonitorError} `GENERIC` in QEMU's words.
 */
export function readRequest(object: JsonObject): QmpRequest {
  for (const [name, value] of Object.entries(object)) {
    switch (name) {
      case "execute":
        if (typeof value !== "string") throw member(name, "must be a string");
        break;
      case "arguments":
        if (!isJsonObject(value)) throw member(name, "must be an object");
        break;
      case "id":
        break;
      default:
        throw member(name, "is unexpected");
    }
  }
  const { execute, arguments: args = {} } = object;
  if (execute === undefined) throw refused("QMP input lacks member 'execute'");
  return { command: execute as string, args: args as JsonObject };
}

function member(name: string, what: string): Error {
  return refused(`QMP input member '${name}' ${what}`);
}

/** The members that an answer repeats. */
export function idOf(value: JsonValue): JsonObject {
  return isJsonObject(value) && value["id"] !== undefined ? { id: value["id"] } : {};
}
