/** What is to be said of files: who may touch them, whose keys they are, what the lists lack. */

import { type CredentialFile, exists } from "./_files.ts";
import type { Inspection } from "./_inspect.ts";
import { type MendContext, publishCrl, quote, reissue } from "./_mend.ts";
import type { StrictVerb } from "./_strict_certificate.ts";
import { OID } from "./extensions.ts";
import type { Finding } from "./finding.ts";
import { type Layout, type LayoutEntry, LAYOUTS } from "./layout.ts";

/** Which directory and file each key was first seen in, by the key; one for a whole run. */
export type KeyRegister = Map<string, { readonly dir: string; readonly file: string }>;

/** A finding, as yet without what QEMU makes of it. */
export type StrictFinding = Omit<Finding, "message"> & { readonly verb?: StrictVerb };

/** Looks at the files of an endpoint. */
export function* fileFindings(
  inspection: Inspection,
  mending: MendContext,
  keys: KeyRegister | undefined,
): Iterable<StrictFinding> {
  yield* directories(inspection);
  yield* permissions(inspection);
  if (keys !== undefined) yield* sharedKeys(inspection, mending, keys);
  yield* lists(inspection, mending);
}

function filesOf({ caCert, caCrl, identity, numbered }: Inspection): CredentialFile[] {
  const pairs = [identity, ...numbered].flatMap(({ cert, key }) => [cert, key]);
  return [caCert, ...(caCrl === undefined ? [] : [caCrl]), ...pairs].filter(exists);
}

const modeOf = ({ state }: CredentialFile): number | undefined =>
  state.kind === "present" ? state.mode : undefined;

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, "0");

/** Whoever may write to a directory may put another file in the place of each of its files. */
function* directories(inspection: Inspection): Iterable<StrictFinding> {
  const parents = filesOf(inspection).map(({ path }) => path.replace(/\/[^/]*$/, ""));
  for (const dir of new Set([inspection.dir.replace(/(?<=.)\/+$/, ""), ...parents])) {
    const mode = directoryMode(dir);
    if (mode === undefined || (mode & 0o022) === 0) continue;
    const isAnybody = (mode & 0o002) !== 0;
    yield {
      code: "DIRECTORY_WRITABLE",
      severity: isAnybody ? "error" : "warning",
      file: dir,
      cause: `${
        isAnybody ? "every user of this machine" : "its group"
      } may add files to it and replace those in it (mode ${octal(mode)})`,
      mend: `chmod go-w ${quote(dir)}`,
    };
  }
}

function directoryMode(dir: string): number | undefined {
  try {
    const { isDirectory, mode } = Deno.statSync(dir);
    return isDirectory ? mode ?? undefined : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return undefined;
  }
}

function* permissions(inspection: Inspection): Iterable<StrictFinding> {
  const layout = layoutOf(inspection.dir);
  for (const file of filesOf(inspection)) {
    const mode = modeOf(file);
    if (mode === undefined) continue;
    const place = quote(file.path);
    if ((mode & 0o002) !== 0) {
      yield {
        code: "FILE_WRITABLE",
        severity: "error",
        file: file.path,
        cause: `every user of this machine may replace it (mode ${octal(mode)})`,
        mend: `chmod o-w ${place}`,
      };
    }
    const isKey = [inspection.identity, ...inspection.numbered].some(({ key }) => key === file);
    const wanted = layout?.files.find((entry) => file.path.endsWith(`/${entry.path}`));
    if (wanted !== undefined) yield* layoutFindings(file, layout!, wanted, mode);
    else if (isKey && inspection.placed === undefined && (mode & 0o070) !== 0) {
      const isIssued = /(?:^|\/)hosts\/[^/]+\/?$/.test(inspection.dir);
      yield {
        code: "KEY_GROUP_ACCESS",
        severity: isIssued ? "warning" : "info",
        file: file.path,
        cause: `its group has access to it (mode ${octal(mode)})`,
        mend: `chmod g= ${place}`,
      };
    }
  }
}

/** The layout whose place a directory is, also below the root of an image. */
function layoutOf(dir: string): Layout | undefined {
  const path = dir.replace(/\/+$/, "");
  return LAYOUTS.find(({ judge, place }) =>
    judge === "qemu" && place.startsWith("/") && path.endsWith(place)
  );
}

function* layoutFindings(
  file: CredentialFile,
  layout: Layout,
  { mode: wanted, owner: account }: LayoutEntry,
  mode: number,
): Iterable<StrictFinding> {
  const place = quote(file.path);
  if ((mode & 0o777 & ~wanted) !== 0) {
    yield {
      code: "LAYOUT_MODE",
      severity: "warning",
      file: file.path,
      cause: `its mode is ${octal(mode)}, more than the ${
        octal(wanted)
      } of the layout ${layout.name}`,
      mend: `chmod ${octal(wanted)} ${place}`,
    };
  }
  const owner = account === "user" ? undefined : ownerOf(file.path);
  if (owner === undefined || owner === 0) return;
  const name = accountName(owner);
  if (name !== undefined && QEMU_ACCOUNTS.includes(name)) return;
  yield {
    code: "LAYOUT_OWNER",
    severity: "warning",
    file: file.path,
    cause: `it belongs to ${
      name ?? `user ${owner}`
    }, who may replace it; the layout ${layout.name} has it belong to root`,
    mend: `chown root ${place}`,
  };
}

/** What distributions call the account that QEMU runs as. */
const QEMU_ACCOUNTS: readonly string[] = ["qemu", "libvirt-qemu"];

function ownerOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).uid ?? undefined;
  } catch {
    return undefined;
  }
}

/** Without the table of accounts there are numbers only, and nothing is said of them. */
function accountName(uid: number): string | undefined {
  try {
    const line = Deno.readTextFileSync("/etc/passwd").split("\n")
      .find((text) => text.split(":")[2] === String(uid));
    return line?.split(":")[0];
  } catch {
    return undefined;
  }
}

function* sharedKeys(
  { dir, identity, numbered }: Inspection,
  mending: MendContext,
  keys: KeyRegister,
): Iterable<StrictFinding> {
  for (const { leaf, cert } of [identity, ...numbered]) {
    if (!leaf?.ok) continue;
    const key = leaf.value.spki.toHex();
    const first = keys.get(key);
    if (first === undefined) keys.set(key, { dir, file: cert.path });
    else if (first.file !== cert.path) {
      const isHere = first.dir === dir;
      yield {
        code: isHere ? "KEY_OF_BOTH_ROLES" : "KEY_OF_TWO_HOSTS",
        severity: isHere ? "info" : "warning",
        file: cert.path,
        cause: `it has the same key as ${first.file}${
          isHere ? "" : ": who takes one host has the other"
        }`,
        mend: reissue(mending),
      };
    }
  }
}

function* lists({ caCrl, crls }: Inspection, mending: MendContext): Iterable<StrictFinding> {
  if (caCrl === undefined) return;
  if (!exists(caCrl)) {
    yield {
      code: "CRL_MISSING",
      severity: "info",
      file: caCrl.path,
      cause: "without a list no client can be locked out before its certificate expires",
      mend: publishCrl(mending),
    };
    return;
  }
  for (const list of crls?.ok ? crls.value : []) {
    const say = (code: string, cause: string, reference: string): StrictFinding => ({
      code,
      severity: "warning",
      file: caCrl.path,
      cause,
      mend: publishCrl(mending),
      reference,
    });
    const whose = `the list of ${list.issuer.text}`;
    if (list.nextUpdate === undefined) {
      const cause = `${whose} does not say when the next one is due: nobody notices that it is old`;
      yield say("CRL_NO_NEXT_UPDATE", cause, "RFC 5280 5.1.2.5");
    }
    if (!list.extensions.some(({ oid }) => oid === OID.crlNumber)) {
      yield say("CRL_NO_NUMBER", `${whose} has no CRL number`, "RFC 5280 5.2.3");
    }
  }
}
