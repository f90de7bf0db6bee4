/** What a host has already, and an answer of its authority must not take back. */

import {
  BaseError,
  createFile,
  decodePem,
  encodePem,
  readFileLimited,
  sameBytes,
} from "../base/mod.ts";
import { readTextLimited, shellWord } from "../base/mod.ts";
import { CREDENTIAL_FILES, dnText, parseCrl, type RevocationList } from "../creds/mod.ts";
import { mergeLists } from "./crl_file.ts";
import { CaError } from "./error.ts";
import { type HeldSet, trustOf } from "./held.ts";
import { CA_CRL_FILE, entryNames, isThere, REQUEST_FILE } from "./pki.ts";
import { CRL_LABEL, crlNumberOf } from "./revoked.ts";

type HostSet = Omit<HeldSet, "host">;

/** A CRL of the host that is newer than the answer's, and therefore stays. */
export interface KeptCrl {
  /** Its issuer, as text. */
  readonly issuer: string;
  readonly number: bigint;
  /** The number of the answer's; `undefined` where that has none of this issuer. */
  readonly answered: bigint | undefined;
}

/** Whether a file is one of a set, so that the answer decides of it. */
export function isOfSet(name: string): boolean {
  return name === REQUEST_FILE || CREDENTIAL_FILES.some((one) => one === name);
}

/**
 * Refuses an answer that is older than what the host has of the same CA.
 *
 * @throws {CaError} `NOT_INSTALLABLE`.
 */
export function refuseOlder(answer: HostSet, live: HostSet): void {
  for (const { role, certificate } of answer.certificates) {
    const has = live.certificates.find((one) => one.role === role)?.certificate;
    if (has === undefined || !sameBytes(has.issuer.raw, certificate.issuer.raw)) continue;
    if (has.notBefore <= certificate.notBefore) continue;
    const [old, now] = [certificate.notBefore, has.notBefore].map((date) => date.toISOString());
    throw new CaError("NOT_INSTALLABLE", {
      file: answer.dir,
      cause: `its ${role}-cert.pem is of ${old}, older than the one of ${now} in ${live.dir}`,
      hint:
        `copy the newest answer from the CA, or, to go back, move the newer set away first: mv ${
          shellWord(live.dir)
        } ${shellWord(`${live.dir}.newer`)}`,
    });
  }
}

/**
 * The CRL for the new set: of each CA that both sets trust the newer one, by its number, since an
 * older one would let in who was shut out.
 *
 * @returns `undefined` as text where there is none.
 * @throws {CaError} `NOT_INSTALLABLE` If the answer's cannot be read.
 */
export function newestCrl(
  answer: HostSet,
  live: HostSet | undefined,
): { readonly text: string | undefined; readonly kept: readonly KeptCrl[] } {
  const file = `${answer.dir}/${CA_CRL_FILE}`;
  const text = isThere(file) ? readTextLimited(file) : undefined;
  const lists = text === undefined ? [] : listsIn(text);
  if (lists === undefined) {
    throw new CaError("NOT_INSTALLABLE", {
      file: answer.dir,
      cause: `its ${CA_CRL_FILE} is damaged`,
      hint: "copy it from the CA again, whole",
    });
  }
  const kept = (live === undefined ? [] : listsOf(live))
    .filter((list) => trustBoth(answer, live!, list))
    .map((list) => ({ list, number: crlNumberOf(list), answered: numberIn(lists, list) }))
    .filter(({ number, answered }) => answered === undefined || answered < number);
  if (kept.length === 0) return { text, kept: [] };
  const theirs = kept.map(({ list }) => pem(list)).join("");
  return {
    text: mergeLists(text ?? "", theirs, trustOf(answer)),
    kept: kept.map(({ list, ...numbers }) => ({ issuer: dnText(list.issuer.raw), ...numbers })),
  };
}

/**
 * Copies what lies in the host's directory and is no part of a set, such as Diffie-Hellman
 * parameters.
 *
 * @returns The names of what was copied, and of what leaves because the new set has none.
 */
export function carryOver(
  live: string,
  staged: string,
): { readonly carried: readonly string[]; readonly dropped: readonly string[] } {
  const carried: string[] = [];
  const dropped: string[] = [];
  for (const name of entryNames(live)) {
    if (isThere(`${staged}/${name}`)) continue;
    const [from, to] = [`${live}/${name}`, `${staged}/${name}`];
    const { isFile, isSymlink } = Deno.lstatSync(from);
    if (isOfSet(name) || !(isFile || isSymlink)) {
      dropped.push(name);
      continue;
    }
    if (isSymlink) Deno.symlinkSync(Deno.readLinkSync(from), to);
    else createFile(to, readFileLimited(from), 0o600);
    carried.push(name);
  }
  return { carried, dropped };
}

/** Where one of the host's own cannot be read, QEMU refuses it already: there is nothing to keep. */
function listsOf({ dir }: HostSet): RevocationList[] {
  const file = `${dir}/${CA_CRL_FILE}`;
  return isThere(file) ? listsIn(readTextLimited(file)) ?? [] : [];
}

function listsIn(text: string): RevocationList[] | undefined {
  try {
    return decodePem(text).filter(({ label }) => label === CRL_LABEL)
      .map(({ der }) => parseCrl(der));
  } catch (error) {
    if (error instanceof BaseError) return undefined;
    throw error;
  }
}

function numberIn(lists: readonly RevocationList[], { issuer }: RevocationList) {
  const numbers = lists.filter((one) => sameBytes(one.issuer.raw, issuer.raw)).map(crlNumberOf);
  return numbers.length === 0 ? undefined : numbers.reduce((a, b) => a > b ? a : b);
}

/** A CA of the same name with another key is another CA. */
function trustBoth(answer: HostSet, live: HostSet, { issuer }: RevocationList): boolean {
  const [next, old] = [answer, live].map((set) =>
    trustOf(set).filter(({ subject }) => sameBytes(subject.raw, issuer.raw))
  );
  return next!.some((one) => old!.some((other) => sameBytes(one.spki, other.spki)));
}

function pem({ raw }: RevocationList): string {
  return encodePem(CRL_LABEL, raw);
}
