/** Credentials made from a directory as QEMU makes them, by the same rules that judge it. */

import { BaseError, type Clock } from "../base/mod.ts";
import type { CredentialSpec, Endpoint, Engine } from "../engine/mod.ts";
import { type CredentialFile, exists } from "./_files.ts";
import { type Identity, inspect, type Inspection } from "./_inspect.ts";
import { isUnseenMismatch, MISMATCH } from "./_steps.ts";
import { walkDirectory } from "./_walk.ts";
import { CredsError } from "./error.ts";
import { DEFAULT_PROFILE, type Profile } from "./profiles.ts";
import { digestOf, type ReadSet } from "./reload.ts";
import { signatureCheck } from "./signature.ts";
import type { CredentialSet } from "./types.ts";

/** A `tls-creds-x509` object as it was asked for. */
export interface X509Request {
  readonly id: string;
  readonly dir: string;
  readonly endpoint: Endpoint;
  readonly verifyPeer: boolean;
  readonly sanityCheck: boolean;
  readonly priority?: string;
  /** Passphrase of an encrypted key. */
  readonly password?: string;
  /** QEMU's words of why there is no passphrase although one was asked for. */
  readonly passwordFault?: string;
  readonly engine: Engine;
  readonly clock: Clock;
  /** The line of QEMU whose rules hold; the installed one's by default. */
  readonly profile?: Profile;
}

/**
 * Loads the credentials of a directory.
 *
 * @throws {CredsError} `LOAD` with QEMU's text and a command that mends it.
 * @throws {EngineError} If the engine refuses what QEMU's rules let through.
 */
export async function loadX509(request: X509Request): Promise<ReadSet> {
  const { id, dir, endpoint, verifyPeer, engine, clock, priority } = request;
  const inspection = await inspect(dir, endpoint, request);
  const isSignedBy = signatureCheck(engine);
  const chain = { now: clock(), isSignedBy, trustsUnchecked: true };
  const profile = request.profile ?? DEFAULT_PROFILE;
  const [refusal] = walkDirectory(inspection, profile, chain, request.sanityCheck);
  if (refusal !== undefined) {
    const { file, message, cause, mend } = refusal;
    throw new CredsError("LOAD", { file, text: message, cause, hint: [cause, mend] });
  }
  refuseUnseenMismatch(inspection.identity);
  refuseCut(inspection);
  const spec = specOf(inspection, request);
  const credentials = engine.credentials(spec);
  const { leaf } = inspection.identity;
  const isIdentified = spec.identities.length > 0 && leaf?.ok;
  const set: CredentialSet = {
    id,
    kind: "x509",
    endpoint,
    verifyPeer,
    dir,
    ...(priority === undefined ? {} : { priority }),
    engine,
    credentials,
    identity: isIdentified ? leaf.value : undefined,
    trust: inspection.anchors?.ok ? inspection.anchors.value : [],
    crls: inspection.crls?.ok ? inspection.crls.value : [],
    clock,
    [Symbol.dispose]: () => credentials[Symbol.dispose](),
  };
  const files = spec.identities.flatMap(({ certificate, key }) => [certificate, key]);
  return { set, digest: digestOf([spec.trust, spec.crl ?? new Uint8Array(), ...files]) };
}

/** QEMU would start with such a pair and fail in each handshake; better say it now. */
function refuseUnseenMismatch(identity: Identity): void {
  if (!isUnseenMismatch(identity)) return;
  const { cert, key } = identity;
  const text = `Cannot load certificate '${cert.path}' & key '${key.path}': ${MISMATCH}`;
  throw new CredsError("LOAD", { file: key.path, text });
}

/** What is used must have been looked at, all of it. */
function refuseCut({ caCert, caCrl, identity: { cert, key } }: Inspection): void {
  for (const file of [caCert, caCrl, cert, key]) {
    if (file?.state.kind !== "present" || !file.state.isCut) continue;
    const cause = `it has more than ${file.state.bytes.length} bytes`;
    throw new BaseError("FILE_TOO_LARGE", { file: file.path, cause });
  }
}

function specOf(inspection: Inspection, { endpoint, password, priority, profile }: X509Request) {
  const numbered = profile?.logic === "new" ? inspection.numbered : [];
  const identities = [inspection.identity, ...numbered]
    .filter(({ cert, key }) => exists(cert) && exists(key))
    .map(({ cert, key }) => ({
      certificate: bytesOf(cert),
      key: bytesOf(key),
      ...(password === undefined ? {} : { password }),
    }));
  return {
    kind: "x509",
    endpoint,
    trust: inspection.anchors?.ok ? bytesOf(inspection.caCert) : new Uint8Array(),
    identities,
    ...(inspection.crls?.ok ? { crl: bytesOf(inspection.caCrl!) } : {}),
    ...(priority === undefined ? {} : { priority }),
  } satisfies CredentialSpec;
}

function bytesOf({ state }: CredentialFile): Uint8Array {
  return state.kind === "present" ? state.bytes : new Uint8Array();
}
