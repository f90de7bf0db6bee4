/** How one side of a session sees the other: what it offers, and what is said of it. */

import { sameBytes } from "../base/mod.ts";
import { maySign, type Side } from "./_matrix_side.ts";
import { NO_CERTIFICATE } from "./_pem.ts";
import { day } from "./_words.ts";
import { wording } from "./_steps.ts";
import type { Certificate } from "./certificate.ts";
import { type ChainContext, verifyPeerChain } from "./path.ts";
import { MIN_RSA_BITS } from "./session.ts";

/** Why a side ends the session, in the words of QEMU that it has for it. */
export interface Complaint {
  /** As `creds explain` has it. */
  readonly code: string;
  readonly message: string;
  readonly cause: string;
}

/**
 * What a client sends a server that asks for a certificate: the first of its own of which an
 * authority that the server names issued a member.
 */
export function offeredChain(client: Side, server: Side): readonly Certificate[] {
  const isKnown = ({ issuer }: Certificate) =>
    server.anchors.some(({ subject }) => sameBytes(subject.raw, issuer.raw));
  return client.chains.find((chain) =>
    (server.anchors.length === 0 || chain.some(isKnown)) && maySign(chain[0]!)
  ) ?? [];
}

/** What a server says of a client that sent nothing. */
export function nothingSent({ chain: [leaf] }: Side): Complaint {
  const message = `Verify failed: ${NO_CERTIFICATE}`;
  if (leaf === undefined) {
    return { code: "PEER_VERIFY", message, cause: "the client has no certificate with its key" };
  }
  return maySign(leaf)
    ? {
      code: "PEER_NO_ISSUER",
      message,
      cause: `a client does not offer what no authority of the server issued: ${leaf.issuer.text}`,
    }
    : {
      code: "PEER_VERIFY",
      message,
      cause: "the key usage of the client's certificate lets it not sign",
    };
}

/** What a side says of the chain that its peer sent, if any; names apart. */
export function complaintOf(
  sent: readonly Certificate[],
  judge: Side,
  context: ChainContext,
): Complaint | undefined {
  const [leaf] = sent;
  if (leaf === undefined) return undefined;
  const status = verifyPeerChain(sent, judge.anchors, judge.crls, {
    ...context,
    minRsaBits: MIN_RSA_BITS,
  });
  if (status.flags.size > 0) {
    const { code, reason } = wording(status.flags);
    return { code: PEER_CODES[code]!, message: reason, cause: status.causes[0]! };
  }
  const odd = sent.find(({ notAfter }) => notAfter < context.now);
  if (odd !== undefined) {
    const cause = `a certificate that it sent along expired on ${day(odd.notAfter)}`;
    return { code: "PEER_EXPIRED", message: "The certificate has expired", cause };
  }
  if (leaf.subject.fault === undefined) return undefined;
  const { fault } = leaf.subject;
  const message = `Cannot get client distinguished name: ${fault}`;
  return { code: "PEER_NO_NAME", message, cause: "its certificate has an empty subject" };
}

const PEER_CODES: Readonly<Record<string, string>> = {
  CHAIN_INSECURE: "CHAIN_INSECURE",
  CHAIN_REVOKED: "PEER_REVOKED",
  CHAIN_NO_ISSUER: "PEER_NO_ISSUER",
  CHAIN_NOT_TRUSTED: "PEER_NOT_TRUSTED",
};
