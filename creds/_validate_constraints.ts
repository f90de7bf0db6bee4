/** Name constraints (RFC 5280 4.2.1.10) on every form of name that a certificate can have. */

import {
  BaseError,
  derChildren,
  type DerElement,
  readDer,
  readDerWhole,
  Tag,
} from "../base/mod.ts";
import type { Purse } from "./_validate_budget.ts";
import { fault, type PathFault } from "./_validate_fault.ts";
import {
  alternativeNames,
  asciiText,
  directoryName,
  GeneralName,
  isHostName,
  isMailbox,
  type NormalName,
  normalName,
} from "./_validate_names.ts";
import { nameOf } from "./_words.ts";
import type { Certificate } from "./certificate.ts";
import { OID } from "./extensions.ts";
import { formatIpAddress } from "./ip.ts";

/** A name in the form in which it is compared; `text` is for people. */
type Subject =
  | { readonly form: "email" | "dns" | "uri"; readonly text: string }
  | { readonly form: "ip"; readonly text: string; readonly bytes: Uint8Array }
  | { readonly form: "directory"; readonly text: string; readonly name: NormalName }
  | { readonly form: "other"; readonly text: string; readonly kind: string };

/** What holds for the names below an authority. */
interface Constraints {
  readonly permitted: readonly Subject[];
  readonly excluded: readonly Subject[];
}

/** The constraints of an authority, `undefined` where it has none. */
type Reading = Constraints | undefined | { readonly unreadable: string };

/** Reads constraints and names once for each certificate. */
export interface ConstraintReader {
  /** Whether the names of a certificate stay within what an authority above it permits. */
  check(certificate: Certificate, authority: Certificate): PathFault | undefined;
}

/**
 * Makes a reader.
 *
 * @param isStrict Whether a DNS constraint with a leading dot is refused; else it covers all names
 * below it, but not the name itself.
 */
export function constraintReader(purse: Purse, isStrict: boolean): ConstraintReader {
  const readings = new Map<Certificate, Reading>();
  const names = new Map<Certificate, readonly Subject[]>();
  return {
    check(certificate, authority) {
      const reading = remember(readings, authority, () => readConstraints(authority, isStrict));
      if (reading === undefined) return undefined;
      const refuse = (words: string) =>
        fault("name-constraints", `${words} by ${nameOf(authority)}`, "4.2.1.10", certificate);
      if ("unreadable" in reading) {
        return refuse(`name constraints that cannot be processed (${reading.unreadable}) are set`);
      }
      const own = remember(names, certificate, () => namesOf(certificate));
      const { permitted, excluded } = reading;
      for (const name of own) {
        purse.spend("comparisons", sizeOf(name) * (permitted.length + excluded.length));
        if (excluded.some((base) => touches(base, name))) {
          return refuse(`the name ${name.text} is excluded`);
        }
        const same = permitted.filter((base) => isSameForm(base, name));
        if (same.length > 0 && !same.some((base) => covers(base, name))) {
          return refuse(`the name ${name.text} is not permitted`);
        }
      }
      return undefined;
    },
  };
}

function remember<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  if (!known.has(key)) known.set(key, make());
  return known.get(key) as V;
}

/** A directory name costs a comparison for each of its parts. */
function sizeOf(name: Subject): number {
  return name.form === "directory" ? Math.max(1, name.name.length) : 1;
}

const EMAIL_ADDRESS = "1.2.840.113549.1.9.1";

/** Subject and alternative names; the subject's e-mail counts where no other is given. */
function namesOf(certificate: Certificate): readonly Subject[] {
  const alternatives = alternativeNames(certificate).map(readName);
  const { subject } = certificate;
  const own: Subject[] = subject.rdns.length === 0
    ? []
    : [{ form: "directory", text: subject.text, name: normalName(subject) }];
  const email = alternatives.some(({ form }) => form === "email")
    ? []
    : subject.rdns.flat().filter(({ oid }) => oid === EMAIL_ADDRESS);
  return [
    ...own,
    ...email.map(({ value }): Subject => ({ form: "email", text: asciiText(value) })),
    ...alternatives,
  ];
}

function readName(element: DerElement): Subject {
  const { tag, content } = element;
  if (tag === GeneralName.email) return { form: "email", text: asciiText(content) };
  if (tag === GeneralName.dns) return { form: "dns", text: asciiText(content).toLowerCase() };
  if (tag === GeneralName.uri) return { form: "uri", text: asciiText(content) };
  if (tag === GeneralName.ip) {
    return { form: "ip", text: formatIpAddress(content), bytes: content };
  }
  if (tag === GeneralName.directory) {
    const name = directoryName(element);
    return { form: "directory", text: name.text, name: normalName(name) };
  }
  return { form: "other", text: `of the form ${tag & 0x1f}`, kind: kindOf(element) };
}

/** Names of a form that is not processed are told apart by it, other names by their type. */
function kindOf({ tag, content }: DerElement): string {
  if (tag !== GeneralName.other) return String(tag);
  return `${tag} ${readDer(content).raw.toHex()}`;
}

function readConstraints(authority: Certificate, isStrict: boolean): Reading {
  const extension = authority.extensions.find(({ oid }) => oid === OID.nameConstraints);
  if (extension === undefined) return undefined;
  try {
    const fields = derChildren(readDerWhole(extension.value, Tag.SEQUENCE));
    const list = (tag: number) => {
      const field = fields.find((f) => f.tag === tag);
      return field && derChildren(field).map((subtree) => readSubtree(subtree, isStrict));
    };
    const [permitted, excluded] = [list(0xa0), list(0xa1)];
    if (fields.some(({ tag }) => tag !== 0xa0 && tag !== 0xa1)) throw refused("an unknown field");
    if (permitted?.length === 0 || excluded?.length === 0 || !(permitted ?? excluded)) {
      throw refused("an empty list");
    }
    return { permitted: permitted ?? [], excluded: excluded ?? [] };
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    return { unreadable: error.facts.cause ?? "DER" };
  }
}

function readSubtree(subtree: DerElement, isStrict: boolean): Subject {
  const [base, ...bounds] = derChildren(subtree);
  if (base === undefined) throw refused("a subtree without a base");
  // RFC 5280: minimum is 0 and maximum absent.
  if (bounds.some(({ tag, content }) => tag !== 0x80 || content.some((octet) => octet !== 0))) {
    throw refused("a minimum or maximum");
  }
  if (base.tag === GeneralName.ip) return readRange(base);
  const name = readName(base);
  const isFit = name.form === "dns"
    ? name.text === "" || isHostName(isStrict ? name.text : name.text.replace(/^\./, ""))
    : name.form === "email"
    ? isMailbox(name.text) || isHostName(name.text.replace(/^\./, ""))
    : name.form === "uri"
    ? isHostName(name.text.replace(/^\./, ""))
    : true;
  if (!isFit) throw refused(`'${name.text}' is no constraint of the form ${name.form}`);
  return name;
}

/** An address and a mask of contiguous bits. */
function readRange({ content }: DerElement): Subject {
  if (content.length !== 8 && content.length !== 32) throw refused("an address without a mask");
  const mask = content.subarray(content.length / 2);
  const bits = Array.from(mask, (octet) => octet.toString(2).padStart(8, "0")).join("");
  if (!/^1*0*$/.test(bits)) throw refused("a mask with a hole");
  return { form: "ip", text: content.toHex(), bytes: content };
}

function refused(cause: string): BaseError {
  return new BaseError("DER", { cause });
}

/** IPv4 says nothing of IPv6, nor one kind of other names of another. */
function isSameForm(base: Subject, name: Subject): boolean {
  if (base.form === "ip" && name.form === "ip") return base.bytes.length === 2 * name.bytes.length;
  if (base.form === "other" && name.form === "other") return base.kind === name.kind;
  return base.form === name.form;
}

/** Whether every name that a name may stand for lies within a permitted subtree. */
function covers(base: Subject, name: Subject): boolean {
  switch (name.form) {
    case "ip":
      return base.form === "ip" && isInRange(name.bytes, base.bytes);
    case "directory":
      return base.form === "directory" && base.name.every((part, i) => part === name.name[i]);
    case "dns":
      return base.form === "dns" && isWithin(name.text.replace(/^\*\./, "_."), base.text);
    case "email":
      return base.form === "email" && coversMailbox(base.text, name.text);
    case "uri":
      return base.form === "uri" && coversHost(base.text, hostOf(name.text));
    case "other":
      // Nobody knows how to compare them (RFC 5280: reject).
      return false;
  }
}

/** Whether some name that a name may stand for lies within an excluded subtree. */
function touches(base: Subject, name: Subject): boolean {
  if (!isSameForm(base, name)) return false;
  if (name.form === "other") return true;
  if (name.form === "uri") return hostOf(name.text) === undefined || covers(base, name);
  if (name.form === "email" && !isMailbox(name.text)) return true;
  if (name.form !== "dns" || !name.text.startsWith("*.")) return covers(base, name);
  const parent = name.text.slice(1);
  const wanted = base.text.replace(/^\./, "");
  const isChild = wanted.endsWith(parent) && !wanted.slice(0, -parent.length).includes(".");
  return isChild || covers(base, name);
}

/** A name or anything below it; below only where the constraint begins with a dot. */
function isWithin(name: string, base: string): boolean {
  if (base === "" || name === base) return true;
  return name.endsWith(base.startsWith(".") ? base : `.${base}`);
}

function isInRange(address: Uint8Array, range: Uint8Array): boolean {
  const half = range.length / 2;
  return address.length === half &&
    address.every((octet, i) => ((octet ^ range[i]!) & range[half + i]!) === 0);
}

/** A mailbox, all of a host, or all of the hosts of a domain. */
function coversMailbox(base: string, mailbox: string): boolean {
  const at = mailbox.lastIndexOf("@");
  const host = mailbox.slice(at + 1);
  if (!isMailbox(mailbox)) return false;
  const baseAt = base.lastIndexOf("@");
  if (baseAt < 0) return coversHost(base, host);
  // The local part has case (RFC 5280 7.5).
  return base.slice(0, baseAt) === mailbox.slice(0, at) &&
    base.slice(baseAt + 1).toLowerCase() === host.toLowerCase();
}

function coversHost(base: string, host: string | undefined): boolean {
  if (host === undefined) return false;
  const [a, b] = [host.toLowerCase(), base.toLowerCase()];
  return b.startsWith(".") ? a.endsWith(b) : a === b;
}

/** The host of a URI; none where it has no authority or an address in its place. */
function hostOf(uri: string): string | undefined {
  const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:@[\]]+)(?::\d*)?(?:[/?#]|$)/i.exec(uri)
    ?.[1];
  return host === undefined || !isHostName(host) || /^[\d.]+$/.test(host) ? undefined : host;
}
