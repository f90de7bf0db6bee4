/** What QEMU says of a directory of credentials, and what else is to be said of it. */

import { type Clock, systemClock } from "../base/mod.ts";
import type { Endpoint, Engine } from "../engine/mod.ts";
import { besides } from "./_beside.ts";
import {
  exists,
  FILE,
  type FileFinder,
  type GivenFile,
  givenFiles,
  identityFile,
  openDirectory,
  openPaths,
} from "./_files.ts";
import { inspect, type Inspection } from "./_inspect.ts";
import { quote } from "./_mend.ts";
import { strictFindings } from "./_strict.ts";
import type { KeyRegister } from "./_strict_files.ts";
import { walkDirectory } from "./_walk.ts";
import type { Finding } from "./finding.ts";
import { type SignatureCheck, signatureCheck } from "./signature.ts";
import type { PlacedLayout } from "./layout_place.ts";
import { LIBVIRT_PROFILES, type Profile, PROFILES } from "./profiles.ts";

export type { GivenFile } from "./_files.ts";
export type { KeyRegister } from "./_strict_files.ts";

/** QEMU's verdict on one endpoint of a directory, and all that was found beside it. */
export interface Verdict {
  readonly dir: string;
  readonly endpoint: Endpoint;
  /** The version it holds for; one of libvirt begins with its name. */
  readonly qemu: string;
  /** Whether QEMU makes the object, or libvirt takes the files. */
  readonly ok: boolean;
  /** QEMU's text; empty where it accepts. */
  readonly message: string;
  /** What QEMU refuses, in its order, and then what it does not look at. */
  readonly findings: readonly Finding[];
}

/** How a directory is judged. */
export interface CheckOptions {
  readonly engine: Engine;
  /** The role; every one whose files exist by default. */
  readonly endpoint?: Endpoint;
  /** Lines of QEMU and libvirt; all of QEMU by default. */
  readonly profiles?: readonly Profile[];
  /** Whether peers are verified, as in the object; `true` by default. */
  readonly verifyPeer?: boolean;
  /** Whether QEMU checks the certificates at load, as in the object; `true` by default. */
  readonly sanityCheck?: boolean;
  /** Passphrase of encrypted keys. */
  readonly password?: string;
  /** Names that a server's certificate must be for. */
  readonly hostnames?: readonly string[];
  /** Priority string of the object; QEMU reads it in the session, not at load. */
  readonly priority?: string;
  /** What expires within this time, in ms, is a warning. */
  readonly expiresIn?: number;
  /** Also look for what RFC 5280 and practice forbid, and QEMU does not. */
  readonly strict?: boolean;
  /**
   * Of a strict look at several directories: the keys that were seen, to which those of this one
   * are added; without it keys are not compared.
   */
  readonly keys?: KeyRegister;
  /** The layout that the files are of, where that is not a directory of QEMU's names. */
  readonly placed?: PlacedLayout;
  readonly clock?: Clock;
  /** Look for what QEMU refuses alone, and not beside it. */
  readonly refusalsOnly?: boolean;
  /** What whoever has just written the directory knows of it. */
  readonly given?: GivenDirectory;
}

/** A directory that need not be read, nor all in it be found out. */
export interface GivenDirectory {
  /** All of its files by name. */
  readonly files: ReadonlyMap<string, GivenFile>;
  /** The public keys, SubjectPublicKeyInfo in DER, of its private keys by the name of their file. */
  readonly publicKeys?: ReadonlyMap<string, Uint8Array>;
  /** Tells signatures that a key has just made; the engine is asked about others. */
  readonly isFresh?: (signature: Uint8Array, publicKey: Uint8Array) => boolean;
}

/**
 * Judges a directory as QEMU does when it makes a `tls-creds-x509` object of it: one verdict for
 * each endpoint and line of QEMU, with QEMU's message and everything that QEMU never gets to.
 */
export async function checkCredentials(dir: string, options: CheckOptions): Promise<Verdict[]> {
  const { placed, given, engine, password } = options;
  if (placed === undefined && given === undefined && isMissing(dir)) {
    return missingDirectory(dir, options);
  }
  const find = given !== undefined
    ? givenFiles(dir, given.files)
    : placed === undefined
    ? openDirectory(dir)
    : openPaths(dir, placed.paths);
  const endpoints = options.endpoint ? [options.endpoint] : endpointsOf(find);
  const check = signatureCheck(engine);
  const isSignedBy: SignatureCheck = (signed, issuer) =>
    given?.isFresh?.(signed.signature, issuer.spki) || check(signed, issuer);
  const verdicts: Verdict[] = [];
  for (const endpoint of endpoints) {
    const read = await inspect(dir, endpoint, {
      engine,
      ...(password === undefined ? {} : { password }),
      ...(given?.publicKeys === undefined ? {} : { publicKeys: given.publicKeys }),
    }, find);
    const inspection = placed === undefined ? read : { ...read, placed };
    verdicts.push(...judgeInspection(inspection, options, isSignedBy));
  }
  return verdicts;
}

/** QEMU's words for the first file that it does not find, and what there is to mend: one thing. */
function missingDirectory(dir: string, options: CheckOptions): Verdict[] {
  const endpoint = options.endpoint ?? "server";
  return profilesFor(options).map((profile): Verdict => {
    const path = `${dir}/${FILE.caCert}`;
    const message = profile.logic !== "libvirt"
      ? `Unable to access credentials ${path}: No such file or directory`
      : profile.locatesFirst
      ? `CA certificate '${path}' does not exist: No such file or directory`
      : `Cannot read CA certificate '${path}': No such file or directory`;
    return noDirectory(dir, endpoint, profile.name, message);
  });
}

/** The verdict on a directory that is not there. */
export function noDirectory(
  dir: string,
  endpoint: Endpoint,
  qemu: string,
  message: string,
): Verdict {
  const parent = dir.replace(/\/*[^/]*\/*$/, "") || (dir.startsWith("/") ? "/" : ".");
  const finding: Finding = {
    code: "DIRECTORY_MISSING",
    severity: "error",
    file: dir,
    message,
    cause: "there is no such directory",
    mend: `what is there: ls -d ${quote(parent)}/*`,
  };
  return { dir, endpoint, qemu, ok: false, message, findings: [finding] };
}

function isMissing(dir: string): boolean {
  try {
    Deno.statSync(dir);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

/** The roles that a directory has files for; both for one that has none at all. */
function endpointsOf(find: FileFinder): Endpoint[] {
  const has = (name: string) => exists(find(name));
  const roles = (["server", "client"] as const).filter((endpoint) =>
    has(identityFile(endpoint, "cert")) || has(identityFile(endpoint, "key")) ||
    has(identityFile(endpoint, "cert", 0)) || has(identityFile(endpoint, "key", 0))
  );
  // A client needs no certificate, so an authority's alone is a client's directory.
  if (roles.length > 0) return roles;
  return has(FILE.caCert) ? ["client"] : ["server", "client"];
}

/** What libvirt reads itself it judges itself. */
function profilesFor({ profiles, placed }: CheckOptions): readonly Profile[] {
  return profiles ?? (placed?.layout.judge === "libvirt" ? LIBVIRT_PROFILES : PROFILES);
}

const texts = new WeakMap<Profile, string>();

/** The same for lines that judge alike. */
function rulesOf(profile: Profile): string {
  let text = texts.get(profile);
  if (text === undefined) texts.set(profile, text = JSON.stringify({ ...profile, name: "" }));
  return text;
}

/** Judges what was read, once for each set of rules. */
function judgeInspection(
  inspection: Inspection,
  options: CheckOptions,
  isSignedBy: SignatureCheck,
): Verdict[] {
  const { dir, endpoint } = inspection;
  const now = (options.clock ?? systemClock)();
  const chain = { now, isSignedBy, trustsUnchecked: true };
  const known = new Map<string, Pick<Verdict, "ok" | "message" | "findings">>();
  const verdicts = profilesFor(options).map((profile) => {
    const rules = rulesOf(profile);
    let outcome = known.get(rules);
    if (outcome === undefined) {
      const refused = walkDirectory(inspection, profile, chain, options.sanityCheck ?? true);
      const beside = options.refusalsOnly ? [] : besides(inspection, profile, chain, {
        hostnames: options.hostnames ?? [],
        expiresIn: options.expiresIn ?? 0,
        verifyPeer: options.verifyPeer ?? true,
        ...(options.placed === undefined ? {} : { placed: options.placed }),
        priority: options.priority,
        checkPriority: options.engine.checkPriority,
      });
      const message = refused[0]?.message ?? "";
      outcome = { ok: refused.length === 0, message, findings: [...refused, ...beside] };
      known.set(rules, outcome);
    }
    return { dir, endpoint, qemu: profile.name, ...outcome };
  });
  if (!options.strict) return verdicts;
  const { engine, keys } = options;
  const strict = strictFindings(inspection, verdicts, { engine, chain, keys });
  return verdicts.map((verdict) => ({
    ...verdict,
    findings: [...verdict.findings, ...strict],
  }));
}
