/** A root CA that is kept elsewhere: fetched to sign the certificate of an issuing CA. */

import { type Clock, decodePem, systemClock } from "../base/mod.ts";
import { type Certificate, isIssuedBy, parseCrl } from "../creds/mod.ts";
import type { Engine } from "../engine/mod.ts";
import { serialText } from "./certificate.ts";
import { type Change, type ChangeOptions, changePki } from "./change.ts";
import { CaError } from "./error.ts";
import { serialOf } from "./held.ts";
import { refuseWithoutAuthority } from "./issue.ts";
import { type Issuer, openIssuer } from "./issuer.ts";
import { sha256 } from "./log_entry.ts";
import { pkiPaths } from "./pki.ts";
import { CRL_LABEL, crlNumberOf } from "./revoked.ts";
import { issuerId } from "./store.ts";

/** Where the root is. */
export interface RootOptions {
  /** Its directory, an authority's like any other. */
  readonly dir: string;
  /** Of its key, or the PIN of its token. */
  readonly passphrase?: string | undefined;
}

/** What is to be signed by the root of an issuing CA. */
export interface RootContext extends ChangeOptions {
  /** The issuing CA's directory. */
  readonly dir: string;
  readonly engine: Engine;
  readonly clock?: Clock;
  readonly root?: RootOptions | undefined;
}

/** What of an issuing CA's certificate tells who signed it. */
type Issuing = Pick<Certificate, "issuer" | "authorityKeyId">;

/**
 * Refuses a CA that has not signed an issuing one, by its name and, where that is the same, its key.
 *
 * @param dir The directory of the CA that was given as the root.
 * @throws {CaError} `ROOT`.
 */
export function refuseOtherRoot(given: Certificate, dir: string, issuing: Issuing): void {
  const isNamed = given.subject.raw.toHex() === issuing.issuer.raw.toHex();
  const [own, wanted] = [given.subjectKeyId?.id.toHex(), issuing.authorityKeyId?.id?.toHex()];
  const isOther = own !== undefined && wanted !== undefined && own !== wanted;
  if (isNamed && !isOther) return;
  throw new CaError("ROOT", {
    file: dir,
    cause: isNamed
      ? `its ${given.subject.text} has another key than the one that has to sign`
      : `it has ${given.subject.text}, and ${issuing.issuer.text} has to sign`,
    hint: "give the directory of the root that signed the issuing CA",
  });
}

/**
 * Refuses to have a CA sign another one below it where a path length on the way up rules that out
 * (RFC 5280 4.2.1.9): nobody would take what that one issues.
 */
function refusePathLength({ certificate, certificates }: Issuer, dir: string): void {
  let at: Certificate | undefined = certificate;
  // Of the CAs between a certificate and a host's, the new one is the first.
  for (let below = 1; at !== undefined && below <= certificates.length; below++) {
    const { pathLength } = at.basicConstraints ?? {};
    if (pathLength !== undefined && pathLength < below) {
      throw new CaError("ROOT", {
        file: dir,
        cause: `${at.subject.text} has path length ${pathLength}, which allows no CA below ` +
          (at === certificate ? "it" : certificate.subject.text),
        hint: [
          "give the directory of a root that may sign CAs: --root-dir ROOT",
          "or make a CA that signs itself: leave --root-dir out",
        ],
      });
    }
    const child: Certificate = at;
    at = isIssuedBy(child, child) ? undefined : certificates.find((one) => isIssuedBy(child, one));
  }
}

/**
 * Opens the root of an issuing CA, and notes in the root's own log what it signs.
 *
 * @throws {CaError} `ROOT` If it was not given, is not the one that signed the issuing CA, or may
 * not sign a CA; what is wrong with the root, as `issueHosts`.
 */
export async function withRoot<T>(
  context: RootContext,
  issuing: Issuing | undefined,
  work: (root: Issuer, record: (serial: Uint8Array, certificate: Uint8Array) => void) => Promise<T>,
): Promise<T> {
  const { engine, root, clock = systemClock } = context;
  if (root === undefined) {
    throw new CaError("ROOT", {
      file: context.dir,
      cause: `${issuing?.issuer.text ?? "its root"} has to sign`,
      hint: "bring the root's directory: --root-dir DIR",
    });
  }
  const paths = pkiPaths(root.dir);
  refuseWithoutAuthority(paths);
  return await changePki(paths, context, async (change) => {
    const { passphrase } = root;
    const issuer = change.signedBy(
      await openIssuer(paths, { change, engine, now: clock(), passphrase }),
    );
    if (issuing !== undefined) refuseOtherRoot(issuer.certificate, root.dir, issuing);
    refusePathLength(issuer, root.dir);
    return await work(issuer, (serial, certificate) =>
      change.record({
        act: "issue",
        issuer: issuerId(issuer.subject),
        serial: serialText(serial),
        certificate,
      }));
  });
}

/**
 * Notes in an issuing CA's log what hosts get of the CAs above it, as far as that is new there: it
 * was made elsewhere.
 */
export async function adoptAbove(
  change: Change,
  certificates: readonly Certificate[],
  lists: string,
): Promise<void> {
  const store = await change.store();
  for (const certificate of certificates) {
    const [issuer, serial] = [issuerId(certificate.issuer.raw), serialOf(certificate)];
    const known = await store.certificatesWith(serial);
    if (known.some((one) => one.issuer === issuer)) continue;
    change.record({ act: "adopt", issuer, serial, certificate: certificate.raw });
  }
  for (const { label, der } of decodePem(lists)) {
    if (label !== CRL_LABEL) continue;
    const crl = parseCrl(der);
    const [issuer, number] = [issuerId(crl.issuer.raw), crlNumberOf(crl)];
    if (number <= await store.crlNumber(issuer)) continue;
    const before = new Set((await store.revocations(issuer)).map((one) => one.serial));
    for (const [text, date] of crl.revoked) {
      const serial = text.replace(/^00(?=..)/, "");
      if (before.has(serial)) continue;
      change.record({ act: "revoke", issuer, serial, revoked: { date }, note: "from the CRL" });
    }
    change.record({ act: "adopt", issuer, number, sha256: sha256(der) });
  }
}
