/**
 * One entry of the log, and the chain that the entries make: each has the digest of the one before,
 * so that none can be altered, taken out or put elsewhere without all that follow.
 */

import { createHash } from "node:crypto";
import type { SignatureAlgorithm } from "../engine/mod.ts";

/** What can be done with an authority. */
export const ACTS = [
  "init",
  "issue",
  "renew",
  "sign",
  "revoke",
  "crl",
  "renew-ca",
  "rotate",
  "adopt",
  "import",
  "rebuild",
  "backup",
  "restore",
  "log",
] as const;

/** One of {@linkcode ACTS}. */
export type ActName = typeof ACTS[number];

/** What an entry says; dates are ISO 8601 in UTC, digests and serials hexadecimal. */
export interface LogEntry {
  /** From 1, without a gap. */
  readonly seq: number;
  readonly time: string;
  /** User and machine. */
  readonly who: string;
  readonly act: ActName;
  readonly host?: string;
  /** The CA whose certificate or CRL it is, as `issuerId` names it. */
  readonly issuer?: string;
  readonly serial?: string;
  /** Of the certificate, CRL or file. */
  readonly sha256?: string;
  /** Since when the certificate is revoked. */
  readonly revoked?: string;
  /** Why, as a CRLReason (RFC 5280 5.3.1). */
  readonly reason?: number;
  /** Number of the CRL, decimal. */
  readonly number?: string;
  readonly note?: string;
  /** Digest of the entry before; {@linkcode GENESIS} in the first. */
  readonly prev: string;
}

/** A signature of a CA's key over everything up to an entry. */
export interface LogSignature {
  /** SHA-256 of its SubjectPublicKeyInfo. */
  readonly key: string;
  readonly algorithm: SignatureAlgorithm;
  /** Base64. */
  readonly value: string;
}

/** An entry as it is kept. */
export interface LogRecord {
  readonly entry: LogEntry;
  /** The JSON text of the entry, which the digest is over. */
  readonly text: string;
  /** SHA-256 of the text. */
  readonly hash: string;
  readonly signature?: LogSignature;
  /** The certificate whose digest the entry has, DER. */
  readonly certificate?: Uint8Array;
}

/** Where a log ends. */
export interface LogHead {
  /** Number of its last entry; 0 while it is empty. */
  readonly seq: number;
  readonly hash: string;
}

/** The digest before the first entry. */
export const GENESIS = "0".repeat(64);

/** The head of a log without entries. */
export const EMPTY_LOG: LogHead = { seq: 0, hash: GENESIS };

/** SHA-256 in hexadecimal. */
export function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Seals an entry: its text and the digest of that. */
export function sealEntry(entry: LogEntry, certificate?: Uint8Array): LogRecord {
  const text = JSON.stringify(entry);
  return { entry, text, hash: sha256(text), ...(certificate === undefined ? {} : { certificate }) };
}

/** What a CA's key signs for the log up to an entry. */
export function signedText({ seq, hash }: LogHead): Uint8Array {
  return new TextEncoder().encode(`virtcreds log ${seq} ${hash}`);
}

/** Writes a record as one line of JSON, the entry's own text first and unchanged. */
export function encodeRecord({ text, hash, signature, certificate }: LogRecord): string {
  const more = { hash, signature, certificate: certificate?.toBase64() };
  return `{"entry":${text},${JSON.stringify(more).slice(1)}`;
}

/**
 * Reads a line that {@linkcode encodeRecord} wrote; whether its digests fit is not judged here.
 *
 * @returns `undefined` for what is none.
 */
export function decodeRecord(line: string): LogRecord | undefined {
  try {
    const { entry, hash, signature, certificate } = JSON.parse(line);
    const text = JSON.stringify(entry);
    if (!isEntry(entry) || typeof hash !== "string") return undefined;
    return {
      entry,
      text,
      hash,
      ...(isSignature(signature) ? { signature } : {}),
      ...(typeof certificate === "string"
        ? { certificate: Uint8Array.fromBase64(certificate) }
        : {}),
    };
  } catch {
    return undefined;
  }
}

/** What is wrong with a record behind the one before it; `undefined` for nothing. */
export function faultOf(record: LogRecord, before: LogHead): string | undefined {
  const { entry, text, hash, certificate } = record;
  if (entry.seq !== before.seq + 1) return `it says it is entry ${entry.seq}`;
  if (sha256(text) !== hash) return "its text does not have its digest";
  if (entry.prev !== before.hash) return "it does not follow the entry before";
  if (certificate !== undefined && sha256(certificate) !== entry.sha256) {
    return "its certificate is another one";
  }
  return undefined;
}

const TEXTS = ["host", "issuer", "serial", "sha256", "revoked", "number", "note"] as const;

function isEntry(value: unknown): value is LogEntry {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Record<string, unknown>;
  return Number.isSafeInteger(entry["seq"]) &&
    ["time", "who", "act", "prev"].every((name) => typeof entry[name] === "string") &&
    TEXTS.every((name) => entry[name] === undefined || typeof entry[name] === "string") &&
    (entry["reason"] === undefined || Number.isInteger(entry["reason"]));
}

function isSignature(value: unknown): value is LogSignature {
  if (typeof value !== "object" || value === null) return false;
  const signature = value as Record<string, unknown>;
  return ["key", "algorithm", "value"].every((name) => typeof signature[name] === "string");
}
