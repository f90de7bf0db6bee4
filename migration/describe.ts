/** Migrations in words, for the lines that programs print of them. */

import { printable } from "../base/mod.ts";
import type { TlsChannel } from "../channel/mod.ts";
import { peerName } from "../creds/mod.ts";
import type { StreamSummary } from "./stream_summary.ts";

/** `657865 bytes in 0.31 s (2.1 MB/s)`; the time is in ms. */
export function describeSpeed(bytes: number, elapsed: number): string {
  const rate = bytes / 1000 / Math.max(elapsed, 1);
  return `${bytes} bytes in ${(elapsed / 1000).toFixed(2)} s (${rate.toFixed(1)} MB/s)`;
}

/**
 * `TLS1.3 TLS_AES_256_GCM_SHA384, peer CN=vm1`, or that the channel is plain. A name that was not
 * verified is only what the peer claims, and is marked so.
 */
export function describeTls(tls: Pick<TlsChannel, "facts" | "verified"> | undefined): string {
  if (tls === undefined) return "plain, peer not verified";
  const { facts, verified } = tls;
  const name = peerName(facts) ?? (verified ? "with the shared key" : "anonymous");
  return `${facts.version} ${facts.cipher}, peer ${printable(name)}` +
    (verified ? "" : " (not verified)");
}

/** `pc-i440fx-7.2, 30 device sections verified`, or how far the check went. */
export function describeContent(summary: StreamSummary): string {
  const machine = summary.machine ?? "machine type unknown";
  const { validation } = summary;
  switch (validation?.kind) {
    case "sections":
      return `${machine}, ${validation.devices} device sections verified`;
    case "end":
      return `${machine}, verified to its end marker only: ${validation.cause}`;
    case "mismatch":
      return `${machine}, NOT verified: ${validation.cause}`;
    default:
      return `${machine}, not complete`;
  }
}
