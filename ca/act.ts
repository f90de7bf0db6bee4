/** What a command does, as it tells the log. */

import { systemClock } from "../base/mod.ts";
import type { SigningKey } from "../engine/mod.ts";
import {
  type ActName,
  type LogEntry,
  type LogHead,
  type LogRecord,
  sealEntry,
  sha256,
  signedText,
} from "./log_entry.ts";

/** One thing that is done. */
export interface Act {
  readonly act: ActName;
  /** The host that it is done for. */
  readonly host?: string;
  /** The CA whose certificate or CRL it is, as `issuerId` names it. */
  readonly issuer?: string;
  /** In lower-case hexadecimal, whole octets, without leading zero octets. */
  readonly serial?: string;
  /** A certificate that was made or taken over, DER: it is kept, and found by host and serial. */
  readonly certificate?: Uint8Array;
  /** Of a file; that of the certificate is taken by itself. */
  readonly sha256?: string;
  /** The certificate with the serial is revoked. */
  readonly revoked?: { readonly date: Date; readonly reason?: number };
  /** Number of a CRL that was made. */
  readonly number?: bigint;
  readonly note?: string;
}

/** Seals what was done as the entries that follow a head. */
export function sealActs(acts: readonly Act[], head: LogHead, who = actor()): LogRecord[] {
  const time = systemClock().toISOString();
  let { seq, hash: prev } = head;
  return acts.map((act) => {
    const record = sealEntry(entryOf(act, { seq: seq + 1, time, who, prev }), act.certificate);
    [seq, prev] = [seq + 1, record.hash];
    return record;
  });
}

/** Signs the last of the records, and with it all before. */
export async function signRecords(
  records: readonly LogRecord[],
  key: SigningKey,
): Promise<LogRecord[]> {
  const last = records.at(-1);
  if (last === undefined) return [];
  const value = await key.sign(signedText({ seq: last.entry.seq, hash: last.hash }));
  const signature = {
    key: sha256(key.publicKey),
    algorithm: key.algorithm,
    value: value.toBase64(),
  };
  return [...records.slice(0, -1), { ...last, signature }];
}

function entryOf(
  { act, host, issuer, serial, certificate, sha256: digest, revoked, number, note }: Act,
  { seq, time, who, prev }: Pick<LogEntry, "seq" | "time" | "who" | "prev">,
): LogEntry {
  const sum = certificate === undefined ? digest : sha256(certificate);
  return {
    seq,
    time,
    who,
    act,
    ...(host === undefined ? {} : { host }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(serial === undefined ? {} : { serial }),
    ...(sum === undefined ? {} : { sha256: sum }),
    ...(revoked === undefined ? {} : { revoked: revoked.date.toISOString() }),
    ...(revoked?.reason === undefined ? {} : { reason: revoked.reason }),
    ...(number === undefined ? {} : { number: String(number) }),
    ...(note === undefined ? {} : { note }),
    prev,
  };
}

/** Who runs this: the person behind sudo where there is one. */
export function actor(): string {
  const user = ["SUDO_USER", "USER", "LOGNAME"].map(variable).find((name) => name) ??
    (isGranted({ name: "sys", kind: "uid" }) ? `uid ${Deno.uid()}` : "somebody");
  return isGranted({ name: "sys", kind: "hostname" }) ? `${user}@${Deno.hostname()}` : user;
}

function variable(name: string): string | undefined {
  return isGranted({ name: "env", variable: name }) ? Deno.env.get(name) : undefined;
}

/** Asked first: a person on a terminal would be prompted. */
function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}
