/** Credentials of shared keys and anonymous ones (`tls-creds-psk`, `tls-creds-anon`). */

import type { Clock } from "../base/mod.ts";
import type { CredentialSpec, Endpoint, Engine } from "../engine/mod.ts";
import { openDirectory } from "./_files.ts";
import { CredsError } from "./error.ts";
import { digestOf, type ReadSet } from "./reload.ts";
import type { CredentialSet } from "./types.ts";

/** An object of either type as it was asked for. */
export interface PskRequest {
  readonly id: string;
  readonly dir: string;
  readonly endpoint: Endpoint;
  readonly verifyPeer: boolean;
  readonly priority?: string;
  /** Of a client; QEMU's own default is `qemu`. */
  readonly username?: string;
  readonly engine: Engine;
  readonly clock: Clock;
}

/**
 * Loads `keys.psk`: lines of a user name, a colon and a key in hexadecimal.
 *
 * @throws {CredsError} `LOAD` with QEMU's text.
 */
export function loadPsk(request: PskRequest): ReadSet {
  const { endpoint, username } = request;
  if (endpoint === "server" && username !== undefined) {
    throw new CredsError("OBJECT_OPTION", {
      option: "username",
      text: "username should not be set when endpoint=server",
      hint: "leave username out: a server knows all users of keys.psk",
    });
  }
  const keys = readKeys(request);
  const set = setOf(request, { kind: "psk", endpoint, keys, ...priorityOf(request) });
  const users = new TextEncoder().encode(JSON.stringify(Object.keys(keys)));
  return { set, digest: digestOf([users, ...Object.values(keys)]) };
}

/** Makes anonymous credentials, which need no file. */
export function loadAnon(request: PskRequest): ReadSet {
  const spec = { kind: "anon", endpoint: request.endpoint, ...priorityOf(request) } as const;
  return { set: setOf(request, spec), digest: "" };
}

function readKeys({ dir, endpoint, username = "qemu" }: PskRequest): Record<string, Uint8Array> {
  const { path: file, state } = openDirectory(dir)("keys.psk");
  if (state.kind === "absent" || state.kind === "inaccessible") {
    const reason = state.kind === "absent" ? "No such file or directory" : state.reason;
    throw loadError(file, `Unable to access credentials ${file}: ${reason}`);
  }
  if (state.kind === "unreadable") {
    throw loadError(file, `Cannot read PSK file ${file}: ${state.reason}`);
  }
  const lines = new TextDecoder().decode(state.bytes).split("\n").map((line) => line.trimEnd());
  const entries = lines.filter((line) => line.includes(":") && !line.startsWith("#"));
  const keys: Record<string, Uint8Array> = Object.create(null);
  for (const entry of entries) {
    const user = entry.slice(0, entry.indexOf(":"));
    if (endpoint === "client" && user !== username) continue;
    if (user in keys) continue;
    const key = decodeKey(entry.slice(user.length + 1));
    if (key !== undefined) keys[user] = key;
    else if (endpoint === "client") {
      throw loadError(file, "Cannot set PSK client credentials: The request is invalid.");
    }
  }
  if (endpoint === "client" && !(username in keys)) {
    throw loadError(file, `Username ${username} not found in PSK file ${file}`);
  }
  return keys;
}

function decodeKey(hex: string): Uint8Array | undefined {
  return /^(?:[0-9A-Fa-f]{2}){1,512}$/.test(hex) ? Uint8Array.fromHex(hex) : undefined;
}

function setOf(request: PskRequest, spec: CredentialSpec): CredentialSet {
  const { id, dir, endpoint, verifyPeer, engine, clock } = request;
  const credentials = engine.credentials(spec);
  return {
    id,
    kind: spec.kind,
    endpoint,
    verifyPeer,
    dir,
    ...priorityOf(request),
    engine,
    credentials,
    identity: undefined,
    trust: [],
    crls: [],
    clock,
    [Symbol.dispose]: () => credentials[Symbol.dispose](),
  };
}

function priorityOf({ priority }: PskRequest): { readonly priority?: string } {
  return priority === undefined ? {} : { priority };
}

function loadError(file: string, text: string): CredsError {
  const hint = `psktool --username qemu --pskfile ${file} makes such a file`;
  return new CredsError("LOAD", { file, text, hint });
}
