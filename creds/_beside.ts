/** What QEMU does not look at when it loads credentials, but somebody will stumble over. */

import { exists } from "./_files.ts";
import { expiry, lists, revocation } from "./_beside_dates.ts";
import { layoutEntries } from "./_beside_layout.ts";
import { priority } from "./_beside_priority.ts";
import { type Inspection, MAX_AUTHORITIES } from "./_inspect.ts";
import type { Beside, BesideOptions, Look } from "./_look.ts";
import { mendContext, quote, reissue, reissueFor } from "./_mend.ts";
import { isUnseenMismatch } from "./_steps.ts";
import type { Certificate } from "./certificate.ts";
import type { KeyUsage } from "./extensions.ts";
import type { Finding, Severity } from "./finding.ts";
import { certificateNames, matchHostname } from "./hostname.ts";
import { parseIpAddress } from "./ip.ts";
import type { ChainContext } from "./path.ts";
import type { Profile } from "./profiles.ts";
import { isForLibvirtsPurpose, isForPurpose, libvirtPurposeText } from "./rules.ts";
import { isIssuedBy } from "./signature.ts";

/** All findings beside QEMU's own. */
export function* besides(
  inspection: Inspection,
  profile: Profile,
  chain: ChainContext,
  options: BesideOptions,
): Iterable<Finding> {
  const { leaf: read } = inspection.identity;
  const leaf = read?.ok ? read.value : undefined;
  const beside: Beside = { inspection, profile, chain, options, mending: mendContext(inspection) };
  for (const look of LOOKS) yield* look(beside, leaf);
}

const LOOKS: readonly Look[] = [
  peers,
  priority,
  names,
  subject,
  expiry,
  revocation,
  usage,
  libvirtLog,
  signature,
  keyFile,
  beginnings,
  layoutEntries,
  pair,
  bundle,
  lists,
];

function* peers({ inspection: { caCert, endpoint }, options }: Beside): Iterable<Finding> {
  if (options.verifyPeer) return;
  yield {
    code: "PEER_NOT_VERIFIED",
    severity: "info",
    file: caCert.path,
    message: "",
    cause: endpoint === "server"
      ? "with verify-peer=off anybody may connect, and tls-authz is not asked either"
      : "with verify-peer=off anybody may be the server: neither authority nor name is looked at",
    mend: "verify-peer=on",
  };
}

function* names({ inspection, options, mending }: Beside, leaf?: Certificate): Iterable<Finding> {
  if (leaf === undefined || inspection.endpoint === "client") return;
  const has = certificateNames(leaf);
  for (const name of options.hostnames) {
    if (matchHostname(leaf, name)) continue;
    yield {
      code: "HOSTNAME_MISMATCH",
      severity: "error",
      file: inspection.identity.cert.path,
      message: `Certificate does not match the hostname ${name}`,
      cause: has.length === 0
        ? `the certificate has no name, and must be for ${name}`
        : `the certificate is for ${has.join(", ")}, not for ${name}`,
      mend: reissueFor(mending, parseIpAddress(name) === undefined ? "dns" : "ip", name),
    };
  }
}

/** QEMU asks for the peer's name even where nobody is authorized by it, and fails without one. */
function* subject({ inspection, mending }: Beside, leaf?: Certificate): Iterable<Finding> {
  if (leaf?.subject.fault === undefined) return;
  yield {
    code: "SUBJECT_UNUSABLE",
    severity: "error",
    file: inspection.identity.cert.path,
    message: `Cannot get client distinguished name: ${leaf.subject.fault}`,
    cause: "a QEMU that verifies its peer takes no certificate with an empty subject",
    mend: reissue(mending),
  };
}

/** What is not critical passes QEMU's check, but TLS itself looks at the key usage. */
function* usage({ inspection, mending }: Beside, leaf?: Certificate): Iterable<Finding> {
  if (leaf === undefined) return;
  const { identity: { cert }, endpoint } = inspection;
  const say = (code: string, severity: Severity, cause: string): Finding => ({
    code,
    severity,
    file: cert.path,
    message: "",
    cause,
    mend: reissue(mending),
  });
  const { keyUsage, extendedKeyUsage } = leaf;
  if (keyUsage && !keyUsage.critical && !keyUsage.usages.includes("digitalSignature")) {
    const cause = "its key usage lacks digitalSignature: QEMU loads it, and handshakes fail";
    yield say("CERT_CANNOT_SIGN", "warning", cause);
  }
  if (extendedKeyUsage && !extendedKeyUsage.critical && !isForPurpose(leaf, endpoint)) {
    const cause =
      `its extended key usage lacks ${endpoint}Auth; QEMU ignores that, libvirt and others do not`;
    yield say("CERT_OTHER_PURPOSE", "warning", cause);
  }
}

/** What libvirt only writes into its log, in its words. */
function* libvirtLog(
  { inspection, profile }: Beside,
  leaf?: Certificate,
): Iterable<Finding> {
  if (profile.logic !== "libvirt" || leaf === undefined) return;
  const { identity: { cert: { path } }, endpoint } = inspection;
  const { keyUsage, extendedKeyUsage } = leaf;
  const lacks = (usage: KeyUsage) =>
    keyUsage?.critical === false && !keyUsage.usages.includes(usage);
  const texts = [
    ...(lacks("digitalSignature")
      ? [`Certificate ${path} usage does not permit digital signature`]
      : []),
    ...(profile.wantsKeyEncipherment && lacks("keyEncipherment")
      ? [`Certificate ${path} usage does not permit key encipherment`]
      : []),
    ...(extendedKeyUsage?.critical === false && !isForLibvirtsPurpose(leaf, endpoint)
      ? [libvirtPurposeText(path, endpoint)]
      : []),
  ];
  for (const message of texts) {
    yield {
      code: "LIBVIRT_LOGS",
      severity: "info",
      file: path,
      message,
      cause: `libvirt takes it, since the extension is not critical, and logs: ${message}`,
      mend: "nothing has to be: it is one line in the log of libvirt",
    };
  }
}

function* keyFile({ inspection: { identity }, options, mending }: Beside): Iterable<Finding> {
  const { key, keyState } = identity;
  if (key.state.kind !== "present") return;
  const mode = key.state.mode ?? 0;
  const wanted =
    options.placed?.layout.files.find(({ file }) => options.placed!.paths[file] === key.path)
      ?.mode ?? 0;
  if ((mode & 0o007 & ~wanted) !== 0) {
    yield {
      code: "KEY_READABLE",
      severity: "warning",
      file: key.path,
      message: "",
      cause: `every user of this machine has access to it (mode ${octal(mode)})`,
      mend: `chmod o= ${quote(key.path)}`,
    };
  }
  if (isUnseenMismatch(identity)) {
    yield {
      code: "KEY_MISMATCH",
      severity: "error",
      file: key.path,
      message: "",
      cause: `it is not the key of ${identity.cert.path}; QEMU loads it, and every handshake fails`,
      mend: reissue(mending),
    };
  }
  if (keyState?.kind === "unknown") {
    yield {
      code: "KEY_NOT_CHECKED",
      severity: "info",
      file: key.path,
      message: "",
      cause: `whether it belongs to the certificate could not be told: ${keyState.cause}`,
      mend: "VIRTCREDS_ENGINE=gnutls reads all keys that QEMU reads",
    };
  }
}

const octal = (mode: number): string => (mode & 0o777).toString(8).padStart(4, "0");

/** What is not looked at is said, for QEMU may find something there. */
function* beginnings({ inspection }: Beside): Iterable<Finding> {
  const { caCert, caCrl, identity } = inspection;
  for (const file of [caCert, caCrl, identity.cert, identity.key]) {
    if (file?.state.kind !== "present" || !file.state.isCut) continue;
    yield {
      code: "FILE_TOO_LARGE",
      severity: "warning",
      file: file.path,
      message: "",
      cause: `only its first ${file.state.bytes.length} bytes are looked at here, QEMU reads all`,
      mend: `what it should be: ls -l ${quote(file.path)}`,
    };
  }
}

function* pair({ inspection, profile, mending }: Beside): Iterable<Finding> {
  const { identity: { cert, key }, endpoint } = inspection;
  const refuses = profile.logic === "new" || profile.locatesFirst;
  if (endpoint === "server" || refuses || exists(cert) === exists(key)) return;
  const [there, missing] = exists(cert) ? [cert, key] : [key, cert];
  const who = profile.logic === "libvirt" ? "libvirt before 10.5" : "QEMU before 10.2";
  yield {
    code: "PAIR_IGNORED",
    severity: "warning",
    file: there.path,
    message: "",
    cause: `without ${missing.path} ${who} goes without a client certificate and says nothing`,
    mend: reissue(mending),
  };
}

function* bundle({ inspection, profile }: Beside): Iterable<Finding> {
  const { anchors, caCert } = inspection;
  const count = anchors?.ok ? anchors.value.length : 0;
  if (profile.logic === "new" || count <= MAX_AUTHORITIES) return;
  const who = profile.logic === "libvirt" ? "libvirt" : "QEMU before 10.2";
  yield {
    code: "CA_TOO_MANY",
    severity: "info",
    file: caCert.path,
    message: "",
    cause: `${who} checks the first ${MAX_AUTHORITIES} of its ${count} certificates`,
    mend: "put the issuer of this host's certificate first",
  };
}

/** What the engine at hand cannot check is taken for good, and said. */
function* signature({ inspection, chain }: Beside, leaf?: Certificate): Iterable<Finding> {
  const authorities = inspection.anchors?.ok ? inspection.anchors.value : [];
  const issuer = leaf && authorities.find((authority) => isIssuedBy(leaf, authority));
  if (leaf === undefined || issuer === undefined) return;
  if (chain.isSignedBy(leaf, issuer) !== undefined) return;
  yield {
    code: "SIGNATURE_NOT_CHECKED",
    severity: "info",
    file: inspection.identity.cert.path,
    message: "",
    cause:
      `its signature is of an algorithm (${leaf.signatureAlgorithm.oid}) that is not checked here`,
    mend: "VIRTCREDS_ENGINE=gnutls checks all that QEMU checks",
  };
}
