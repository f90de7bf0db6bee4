/** The certificates that an authority has issued: what its store has, and what hosts hold. */

import { type Certificate, parseCertificate } from "../creds/mod.ts";
import { heldHosts, readHeld, serialOf } from "./held.ts";
import { parseHostName } from "./host_name.ts";
import { readLedger } from "./ledger.ts";
import type { PkiPaths } from "./pki.ts";
import type { Store } from "./store.ts";

/** A certificate that was issued. */
export interface IssuedRecord {
  /** In hexadecimal. */
  readonly serial: string;
  /** The host that it was issued for; empty for a CA's own. */
  readonly host: string;
  /** Where it lies; `undefined` for one that the store alone has. */
  readonly file: string | undefined;
  readonly certificate: Certificate;
}

const PLACES = ["hosts", "previous"] as const;

/** What was issued for a host, else the certificates with a serial. */
export async function findIssued(
  paths: PkiPaths,
  store: Store,
  target: string,
): Promise<IssuedRecord[]> {
  const host = hostName(target);
  const ofHost = host === undefined
    ? []
    : merge(heldBy(paths, host), await store.certificatesOf(host));
  if (ofHost.length > 0) return ofHost;
  const serial = serialText(target);
  const stored = await store.certificatesWith(serial);
  const owners = stored.length > 0 ? stored.map((one) => one.host) : everyHost(paths);
  const held = owners.filter((owner) => hostName(owner) === owner)
    .flatMap((owner) => heldBy(paths, owner));
  return merge(held, stored).filter((record) => record.serial === serial);
}

/** A serial as the records have it, however it was written. */
export function serialText(text: string): string {
  const digits = text.replaceAll(":", "").toLowerCase().replace(/^0+(?=.)/, "");
  return digits.padStart(digits.length + digits.length % 2, "0");
}

/** Where a certificate lies too is said of it. */
function merge(
  held: readonly IssuedRecord[],
  stored: Awaited<ReturnType<Store["certificatesOf"]>>,
): IssuedRecord[] {
  const records = new Map(held.map((record) => [keyOf(record.certificate), record]));
  for (const { serial, host, certificate: der } of stored) {
    const certificate = parseCertificate(der);
    const key = keyOf(certificate);
    if (!records.has(key)) records.set(key, { serial, host, file: undefined, certificate });
  }
  return [...records.values()];
}

function keyOf({ issuer, serial }: Certificate): string {
  return `${issuer.raw.toHex()} ${serial.toHex()}`;
}

function everyHost(paths: PkiPaths): string[] {
  return [...new Set(PLACES.flatMap((place) => heldHosts(paths, place)))];
}

function heldBy(paths: PkiPaths, host: string): IssuedRecord[] {
  return PLACES.flatMap((place) =>
    (readHeld(paths, host, place)?.certificates ?? []).map(
      ({ serial, file, certificate }) => ({ serial, host, file, certificate }),
    )
  ).filter((one, i, all) => all.findIndex(({ serial }) => serial === one.serial) === i);
}

function hostName(text: string): string | undefined {
  try {
    return parseHostName(text).text;
  } catch {
    return undefined;
  }
}

/** Reads all issued certificates, by serial. */
export async function readIssued(paths: PkiPaths): Promise<Map<string, IssuedRecord>> {
  await using store = await readLedger(paths);
  const records = new Map<string, IssuedRecord>();
  for await (const { entry: { host = "" }, certificate: der } of store.records()) {
    if (der === undefined) continue;
    const certificate = parseCertificate(der);
    const serial = serialOf(certificate);
    records.set(serial, { serial, host, file: undefined, certificate });
  }
  for (const host of everyHost(paths)) {
    for (const record of heldBy(paths, host)) records.set(record.serial, record);
  }
  return records;
}
