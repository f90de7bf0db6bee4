/** Keys made on the host itself, and the request that goes to the authority in their place. */

import { createFile, encodePem, fileError, syncDirectory } from "../base/mod.ts";
import type { Engine, KeyType } from "../engine/mod.ts";
import { signRequest } from "./csr.ts";
import { CaError } from "./error.ts";
import { isThere, makeDirectory, removeAll } from "./pki.ts";
import { type HostOptions, parseRequest } from "./request.ts";
import { REQUEST_FILE } from "./pki.ts";
import type { Role } from "./profile.ts";

/** What is asked for, and where the keys are to lie. */
export interface HostKeysOptions
  extends Pick<HostOptions, "host" | "dns" | "ip" | "roles" | "keyType" | "allowWildcard"> {
  /** Directory that is made for the keys and the request; it must not be there. */
  readonly out: string;
  readonly engine: Engine;
  /** Encrypts the keys; QEMU needs it as a `secret` object. */
  readonly hostPassphrase?: string | undefined;
}

/** Keys and a request that were made. */
export interface HostKeys {
  /** The host's name as the certificates will have it. */
  readonly host: string;
  readonly dir: string;
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly roles: readonly Role[];
  readonly keyType: KeyType;
  /** Path of the one file that goes to the authority: a request for each role, PEM. */
  readonly request: string;
  /** Paths of the private keys, mode 0600, which stay. */
  readonly keys: readonly string[];
}

/**
 * Makes a host's keys and the request for its certificates. No authority is needed where this
 * runs, and no key leaves the directory, which is there whole or not at all.
 *
 * @throws {CaError} `HOST_NAME`, `DNS_NAME`, `IP_ADDRESS` for a name that is none; `KEYS_EXIST` if
 * something is at the directory's place.
 * @throws {BaseError} `FILE_NOT_WRITABLE`.
 */
export async function makeHostKeys(options: HostKeysOptions): Promise<HostKeys> {
  const { host, names, roles, keyType } = parseRequest(options);
  const out = options.out.replace(/(?<=.)\/+$/, "");
  refuseExisting(out, host.text);
  const made = `${out}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    makeParents(out);
    makeDirectory(made);
    const requests: string[] = [];
    for (const role of roles) {
      using key = await options.engine.generateKey(keyType);
      const pem = await key.exportPem(options.hostPassphrase);
      createFile(`${made}/${role}-key.pem`, pem, 0o600);
      const request = await signRequest({ host, names, role }, key);
      requests.push(encodePem("CERTIFICATE REQUEST", request));
    }
    createFile(`${made}/${REQUEST_FILE}`, requests.join(""), 0o644);
    syncDirectory(made);
    refuseExisting(out, host.text);
    moveTo(made, out);
  } catch (error) {
    removeAll(made);
    throw error;
  }
  syncDirectory(out.replace(/[^/]*$/, "") || ".");
  return {
    host: host.text,
    dir: out,
    dns: names.filter((name) => name.kind === "dns").map((name) => name.text),
    ip: names.filter((name) => name.kind === "ip").map((name) => name.text),
    roles,
    keyType,
    request: `${out}/${REQUEST_FILE}`,
    keys: roles.map((role) => `${out}/${role}-key.pem`),
  };
}

/** Keys are never overwritten: a certificate for the ones that are there may be on its way. */
function refuseExisting(out: string, host: string): void {
  if (!isThere(out)) return;
  throw new CaError("KEYS_EXIST", {
    file: out,
    hint: [
      `carry its request to the CA: ls ${out}/${REQUEST_FILE}`,
      `or make others elsewhere: deno task ca request ${host} --out DIR`,
    ],
  });
}

function makeParents(out: string): void {
  const parent = out.replace(/\/*[^/]*$/, "");
  if (parent === "") return;
  try {
    Deno.mkdirSync(parent, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw fileError(error, parent, "write");
  }
}

/** An empty directory that somebody made in the meantime is no loss. */
function moveTo(made: string, out: string): void {
  try {
    Deno.renameSync(made, out);
  } catch (error) {
    throw fileError(error, out, "write");
  }
}
