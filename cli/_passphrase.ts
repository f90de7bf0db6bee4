/** Passphrases on the command line: from a file, standard input or a prompt, never in a flag. */

import type { RootOptions } from "../ca/mod.ts";
import type { Flag, Input } from "./_command.ts";
import { Interrupted, usage } from "./_command.ts";

/** Of the CA's key, or the PIN of the token that has it. */
export const PASSPHRASE_FLAG: Flag = {
  name: "passphrase-file",
  value: "FILE",
  help: "file with the passphrase of the CA's key, or its token's PIN; - is standard input",
};

/** Of the keys of hosts. */
export const HOST_PASSPHRASE_FLAG: Flag = {
  name: "host-passphrase-file",
  value: "FILE",
  help: "encrypt the hosts' keys with the passphrase in this file; - is standard input",
};

/** Of the keys of hosts that are judged, and not made. */
export const JUDGED_PASSPHRASE_FLAG: Flag = {
  ...HOST_PASSPHRASE_FLAG,
  help: "file with the passphrase of encrypted keys, as QEMU's secret has it; - is standard input",
};

/** Of the key of the CA that a roll-over goes to. */
export const NEW_PASSPHRASE_FLAG: Flag = {
  name: "new-passphrase-file",
  value: "FILE",
  help: "passphrase of the next CA's key, or its token's PIN; the old one's when absent",
};

/** Where the root of an issuing CA is. */
export const ROOT_DIR_FLAG: Flag = {
  name: "root-dir",
  value: "DIR",
  help: "directory of the root CA that signs this one's certificate",
};

/** Of the root's key. */
export const ROOT_PASSPHRASE_FLAG: Flag = {
  name: "root-passphrase-file",
  value: "FILE",
  help: "file with the passphrase of the root's key, or its token's PIN",
};

/** The most that is read of standard input, in bytes. */
const LARGEST_INPUT = 4096;

/** The passphrase for a new CA's key: what the flag names; on a terminal `-` asks twice. */
export async function newPassphrase(input: Input): Promise<string | undefined> {
  return await read(input, PASSPHRASE_FLAG, "passphrase for the CA's key", true);
}

/** The PIN of the token that is to sign. */
export async function tokenPin(input: Input): Promise<string | undefined> {
  return await read(input, PASSPHRASE_FLAG, "PIN of the token", false) ?? askIfPossible("pin");
}

/** What unlocks an authority's key: what the flag names, else a person on a terminal is asked. */
export async function authorityPassphrase(input: Input, dir: string): Promise<string | undefined> {
  const { authorityKeyLock } = await import("../ca/mod.ts");
  const lock = authorityKeyLock(dir);
  const given = await read(input, PASSPHRASE_FLAG, LABELS[lock], false);
  return given ?? (lock === "none" ? undefined : askIfPossible(lock));
}

/** What unlocks the key of another tool's CA; whether it needs that is not known before. */
export async function foreignPassphrase(input: Input): Promise<string | undefined> {
  return await read(input, PASSPHRASE_FLAG, "passphrase of the CA's key", false);
}

/** The passphrase of a backup; a person on a terminal is asked, twice for a new one. */
export async function backupPassphrase(input: Input, isNew: boolean): Promise<string | undefined> {
  const label = "passphrase of the backup";
  const given = await read(input, PASSPHRASE_FLAG, label, isNew);
  if (given !== undefined || !Deno.stdin.isTerminal()) return given;
  return await askNew(label, isNew);
}

/** The passphrase for the hosts' keys. */
export async function hostPassphrase(input: Input): Promise<string | undefined> {
  const [ca, host] = [PASSPHRASE_FLAG, HOST_PASSPHRASE_FLAG].map(({ name }) => input.get(name));
  if (ca === "-" && host === "-" && !Deno.stdin.isTerminal()) {
    throw usage(
      "standard input cannot have both passphrases",
      `give a file to --${PASSPHRASE_FLAG.name} or --${HOST_PASSPHRASE_FLAG.name}`,
    );
  }
  return await read(input, HOST_PASSPHRASE_FLAG, "passphrase for the hosts' keys", true);
}

/** The passphrase of hosts' keys that are there already. */
export async function judgedPassphrase(input: Input): Promise<string | undefined> {
  return await read(input, HOST_PASSPHRASE_FLAG, "passphrase of the keys", false);
}

/** Adds to the mend of an encrypted key how it could be judged all the same. */
export function mendWithPassphrase(code: string, mend: string, given: boolean): string {
  if (code !== "KEY_ENCRYPTED" || given) return mend;
  return `${mend}; to judge it here: --${HOST_PASSPHRASE_FLAG.name} FILE`;
}

/** The passphrase for the next CA's key: what the flag names. */
export async function nextPassphrase(input: Input): Promise<string | undefined> {
  return await read(input, NEW_PASSPHRASE_FLAG, "passphrase of the next CA's key", true);
}

/**
 * The root CA that the flags name; whoever sits at a terminal is asked for its passphrase.
 *
 * @param isNew Whether it may have to be made.
 */
export async function rootOptions(
  input: Input,
  isNew = false,
): Promise<RootOptions | undefined> {
  const dir = input.get(ROOT_DIR_FLAG.name);
  if (dir === undefined) return undefined;
  const { authorityKeyLock } = await import("../ca/mod.ts");
  const lock = authorityKeyLock(dir);
  const label = lock === "pin" ? "PIN of the root's token" : "passphrase of the root's key";
  const given = await read(input, ROOT_PASSPHRASE_FLAG, label, isNew && lock === "none");
  if (given !== undefined || lock === "none" || !Deno.stdin.isTerminal()) {
    return { dir, passphrase: given };
  }
  return { dir, passphrase: ask(label).normalize("NFC") || undefined };
}

const LABELS = {
  none: "passphrase of the CA's key",
  passphrase: "passphrase of the CA's key",
  pin: "PIN of the token",
} as const;

async function read(
  input: Input,
  flag: Flag,
  label: string,
  isNew: boolean,
): Promise<string | undefined> {
  const file = input.get(flag.name);
  if (file === undefined) return undefined;
  const { checkPassphrase, readPassphrase, readQemuPassphrase } = await import("../ca/mod.ts");
  if (file !== "-") {
    return flag === HOST_PASSPHRASE_FLAG ? readQemuPassphrase(file) : readPassphrase(file);
  }
  if (!Deno.stdin.isTerminal()) {
    return checkPassphrase(readInput().replace(/\r?\n$/, ""), "standard input");
  }
  return await askNew(label, isNew);
}

async function askNew(label: string, isNew: boolean): Promise<string> {
  const { checkPassphrase } = await import("../ca/mod.ts");
  const given = checkPassphrase(ask(label), "the terminal");
  if (isNew && ask(`${label}, again`) !== given) {
    throw usage("the two passphrases differ", "type the same one twice");
  }
  return given;
}

function askIfPossible(lock: "passphrase" | "pin"): string | undefined {
  if (!Deno.stdin.isTerminal()) return undefined;
  return ask(LABELS[lock]).normalize("NFC") || undefined;
}

function readInput(): string {
  const bytes = new Uint8Array(LARGEST_INPUT);
  let length = 0;
  for (;;) {
    const count = Deno.stdin.readSync(bytes.subarray(length));
    if (count === null || count === 0) break;
    length += count;
  }
  if (length === LARGEST_INPUT) {
    throw usage(`standard input has ${LARGEST_INPUT} bytes or more`, "give one line, a passphrase");
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}

const ENTER = [0x0a, 0x0d];
const INTERRUPT = 0x03;
const END = 0x04;
const ERASE = [0x08, 0x7f];

/** Asks on the terminal and shows nothing of what is typed. */
function ask(label: string): string {
  // Before the question is seen: a quick answer would be shown.
  Deno.stdin.setRaw(true);
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(`${label}: `));
    return readLine();
  } finally {
    Deno.stdin.setRaw(false);
    Deno.stderr.writeSync(new TextEncoder().encode("\n"));
  }
}

function readLine(): string {
  const line: number[] = [];
  const octet = new Uint8Array(1);
  while (Deno.stdin.readSync(octet) === 1) {
    const [key] = octet as unknown as [number];
    if (ENTER.includes(key) || key === END) break;
    if (key === INTERRUPT) throw new Interrupted();
    if (ERASE.includes(key)) erase(line);
    else if (line.length < LARGEST_INPUT) line.push(key);
  }
  const text = new TextDecoder().decode(Uint8Array.from(line));
  line.fill(0);
  return text;
}

/** Takes the last character away, which may be several octets of UTF-8. */
function erase(line: number[]): void {
  while (line.length > 0 && (line.pop()! & 0xc0) === 0x80);
}
