/** What a client sends: a command with its arguments, checked as QEMU checks it. */

import { refused } from "./error.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json.ts";

/** A command, ready to be looked up. */
export interface QmpRequest {
  readonly command: string;
  readonly args: JsonObject;
  /** Whether it is to be executed out of band. */
  readonly oob: boolean;
}

/**
 * Reads a request (qapi/qmp-dispatch.c, `qmp_dispatch_check_obj`).
 *
 * @param oob Whether the client has enabled execution out of band.
 * @throws {MonitorError} `GENERIC` in QEMU's words.
 */
export function readRequest(object: JsonObject, oob: boolean): QmpRequest {
  for (const [name, value] of Object.entries(object)) {
    switch (name) {
      case "execute":
      case "exec-oob":
        if (name === "exec-oob" && !oob) throw member(name, "is unexpected");
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
  const { execute, "exec-oob": urgent, arguments: args = {} } = object;
  if (execute !== undefined && urgent !== undefined) {
    throw member("execute", "clashes with 'exec-oob'");
  }
  const command = execute ?? urgent;
  if (command === undefined) throw refused("QMP input lacks member 'execute'");
  return { command: command as string, args: args as JsonObject, oob: urgent !== undefined };
}

function member(name: string, what: string): Error {
  return refused(`QMP input member '${name}' ${what}`);
}

/** The members that an answer repeats. */
export function idOf(value: JsonValue): JsonObject {
  return isJsonObject(value) && value["id"] !== undefined ? { id: value["id"] } : {};
}
