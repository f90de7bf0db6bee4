/**
 * What QEMU calls the tls-creds, secret and authz objects: parsing them, loading them, QEMU's
 * verdict on a directory, and the judgement of a peer after the handshake.
 */

export {
  type Algorithm,
  type Certificate,
  parseCertificate,
  type PublicKeyInfo,
} from "./certificate.ts";
export { parseCrl, type RevocationList } from "./crl.ts";
export { type Attribute, dnText, type Name } from "./dn.ts";
export * from "./error.ts";
export { explain, type Page, PAGES } from "./explain.ts";
export * from "./finding.ts";
export {
  type AlternativeNames,
  type Extension,
  type Extensions,
  KEY_USAGES,
  type KeyUsage,
} from "./extensions.ts";
export { certificateNames, matchHostname } from "./hostname.ts";
export { formatIpAddress, parseIpAddress } from "./ip.ts";
export * from "./layout.ts";
export { type PlacedLayout, placeLayout, type PlaceOptions } from "./layout_place.ts";
export {
  judgeMatrix,
  type Matrix,
  type MatrixEntry,
  type MatrixHost,
  type MatrixOptions,
  type MatrixRefusal,
  type NameKind,
  type PairOutcome,
  type PairState,
  type ReachName,
} from "./matrix.ts";
export {
  type ChainContext,
  type ChainFlag,
  type ChainStatus,
  MAX_CHAIN,
  revokedSince,
  verifyChain,
  verifyPeerChain,
} from "./path.ts";
export { isIssuedBy, type SignatureCheck, signatureCheck, type Signed } from "./signature.ts";
export {
  findLibvirtProfile,
  findProfile,
  LIBVIRT_PROFILES,
  type Profile,
  PROFILES,
} from "./profiles.ts";
export { peerName } from "./peer_name.ts";
export { ObjectRegistry, type RegistryOptions, type ReloadOutcome } from "./registry.ts";
export { type CertificateRequest, parseCertificateRequest, REQUEST_LABELS } from "./request.ts";
export { type SealedSecret, sealSecret } from "./seal.ts";
export { verifySession } from "./session.ts";
export {
  checkSystemPlace,
  findSystemPlaces,
  type SystemOptions,
  type SystemPlace,
} from "./system.ts";
export { summarizeDirectory, type Summary } from "./summary.ts";
export { authorizationOption, readTree, type TreeNode } from "./tree.ts";
export * from "./types.ts";
export {
  PATH_BUDGET,
  type PathBudget,
  type PathFault,
  type PathOptions,
  type PathProblem,
  type PathResult,
  type PolicyInput,
  validatePath,
} from "./validate.ts";
export { watchDirectories } from "./watch.ts";
export {
  checkCredentials,
  type CheckOptions,
  type GivenDirectory,
  type GivenFile,
  type KeyRegister,
  type Verdict,
} from "./verdict.ts";
