/** All that is known of one endpoint of a directory before it is judged. */

import type { Endpoint, Engine } from "../engine/mod.ts";
import { type CredentialFile, exists, FILE, type FileFinder, identityFile } from "./_files.ts";
import { openDirectory } from "./_files.ts";
import { cString, type Read, readCertificate, readCertificates, readCrls } from "./_pem.ts";
import { type KeyState, readPrivateKey } from "./_private_key.ts";
import type { Certificate } from "./certificate.ts";
import type { RevocationList } from "./crl.ts";
import type { PlacedLayout } from "./layout_place.ts";

/** A certificate file with its key; both may be missing. */
export interface Identity {
  readonly cert: CredentialFile;
  readonly key: CredentialFile;
  /** The first certificate, as QEMU's check reads it; absent where there is no file to read. */
  readonly leaf: Read<Certificate> | undefined;
  /** All certificates of the file. */
  readonly chain: Read<Certificate[]> | undefined;
  /** The private key. */
  readonly keyState: KeyState | undefined;
}

/** What was found in a directory for one endpoint. */
export interface Inspection {
  readonly dir: string;
  readonly endpoint: Endpoint;
  readonly caCert: CredentialFile;
  /** Server only. */
  readonly caCrl: CredentialFile | undefined;
  /** Server only. */
  readonly dhParams: CredentialFile | undefined;
  readonly identity: Identity;
  /** `server-cert-0.pem` and on, up to the first number that has no file at all. */
  readonly numbered: readonly Identity[];
  /** The authorities that QEMU before 10.2 checks: the first sixteen. */
  readonly authorities: Read<Certificate[]> | undefined;
  /** All authorities: the trust anchors of sessions. */
  readonly anchors: Read<Certificate[]> | undefined;
  /** Server only. */
  readonly crls: Read<RevocationList[]> | undefined;
  /** The lists that lie in the directory: a client reads none, but its peers do. */
  readonly revocations: readonly RevocationList[];
  /** The other role's certificate, where this one's cannot be read. */
  readonly otherLeaf?: Certificate;
  /** The layout that the files are known to be of: it says who may have what. */
  readonly placed?: PlacedLayout;
  /** QEMU's words of why there is no passphrase although one was asked for. */
  readonly passwordFault?: string;
}

/** QEMU before 10.2 has room for so many authorities in its check. */
export const MAX_AUTHORITIES = 16;

/** Numbered identities that QEMU 10.2 looks for. */
const MAX_NUMBERED = 4;

/** How a directory is read. */
export interface InspectOptions {
  readonly engine: Engine;
  /** Passphrase of encrypted keys. */
  readonly password?: string;
  readonly passwordFault?: string;
  /** Of private keys that are known, by the name of their file. */
  readonly publicKeys?: ReadonlyMap<string, Uint8Array>;
}

/** Reads what an endpoint of a directory has, each file once. */
export async function inspect(
  dir: string,
  endpoint: Endpoint,
  options: InspectOptions,
  find: FileFinder = openDirectory(dir),
): Promise<Inspection> {
  const isServer = endpoint === "server";
  const caCert = find(FILE.caCert);
  const listFile = find(FILE.caCrl);
  const caCrl = isServer ? listFile : undefined;
  const ca = textOf(caCert);
  const anchors = ca === undefined ? undefined : readAuthorities(ca);
  const crl = textOf(listFile);
  const lists = crl === undefined ? undefined : readLists(crl);
  const numbered: Identity[] = [];
  for (let number = 0; number < MAX_NUMBERED; number++) {
    const identity = await readIdentity(find, endpoint, options, number);
    if (!exists(identity.cert) && !exists(identity.key)) break;
    numbered.push(identity);
  }
  const identity = await readIdentity(find, endpoint, options);
  const otherLeaf = readLeaf(find, isServer ? "client" : "server");
  return {
    dir,
    endpoint,
    caCert,
    caCrl,
    dhParams: isServer ? find(FILE.dhParams) : undefined,
    identity,
    numbered,
    anchors,
    authorities: ca === undefined ? undefined : firstAuthorities(ca, anchors),
    crls: isServer ? lists : undefined,
    revocations: lists?.ok ? lists.value : [],
    ...(otherLeaf === undefined ? {} : { otherLeaf }),
    ...(options.passwordFault === undefined ? {} : { passwordFault: options.passwordFault }),
  };
}

async function readIdentity(
  find: FileFinder,
  endpoint: Endpoint,
  { engine, password, publicKeys }: InspectOptions,
  number?: number,
): Promise<Identity> {
  const cert = find(identityFile(endpoint, "cert", number));
  const keyName = identityFile(endpoint, "key", number);
  const key = find(keyName);
  const publicKey = publicKeys?.get(keyName);
  const text = textOf(cert);
  const keyText = textOf(key);
  const chain = text === undefined ? undefined : readCertificates(text);
  const isWhole = chain?.ok === true && text === cString(text!);
  return {
    cert,
    key,
    chain,
    leaf: text === undefined
      ? undefined
      : isWhole
      ? { ok: true, value: chain.value[0]! }
      : readCertificate(cString(text)),
    keyState: keyText === undefined
      ? undefined
      : publicKey !== undefined
      ? { kind: "good", publicKey }
      : await readPrivateKey(
        keyText,
        password,
        engine,
        chain?.ok ? chain.value[0]?.spki : undefined,
      ),
  };
}

function readLeaf(find: FileFinder, endpoint: Endpoint): Certificate | undefined {
  const text = textOf(find(identityFile(endpoint, "cert")));
  const leaf = text === undefined ? undefined : readCertificate(cString(text));
  return leaf?.ok ? leaf.value : undefined;
}

function textOf({ state }: CredentialFile): string | undefined {
  return state.kind === "present" ? state.text : undefined;
}

/** The authorities and lists of a site are the same files in each of its directories. */
const readAuthorities = remembered(readCertificates);
const readLists = remembered(readCrls);

/** Remembers what the last few texts gave. */
function remembered<T>(read: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    let value = known.get(text);
    if (value === undefined) {
      if (known.size >= 16) known.delete(known.keys().next().value!);
      known.set(text, value = read(text));
    }
    return value;
  };
}

function firstAuthorities(text: string, all: Read<Certificate[]> | undefined) {
  const seen = cString(text);
  if (all?.ok !== true || seen !== text) return readCertificates(seen, MAX_AUTHORITIES);
  return { ok: true, value: all.value.slice(0, MAX_AUTHORITIES) } as const;
}
