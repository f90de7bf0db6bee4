/**
 * The authority: a CA on plain files, and directories of credentials that QEMU takes as they are.
 */

export { authorityKeyLock, type KeyLock } from "./authority_key.ts";
export { type BackupOptions, type BackupResult, makeBackup } from "./backup.ts";
export { CaError, type CaErrorCode } from "./error.ts";
export { DH_GROUPS, type DhGroup } from "./dh_params.ts";
export * from "./export.ts";
export { checkExport, type ExportCheckOptions } from "./export_check.ts";
export * from "./export_tar.ts";
export * from "./export_write.ts";
export * from "./fleet.ts";
export { strayFiles } from "./held.ts";
export { type HostKeys, type HostKeysOptions, makeHostKeys } from "./host_keys.ts";
export * from "./host_name.ts";
export { importAuthority, type ImportedHost, type ImportOptions } from "./import.ts";
export type { ImportResult } from "./import.ts";
export { CA_NAME, initAuthority, type InitOptions, type InitResult } from "./init.ts";
export * from "./install.ts";
export * from "./issue.ts";
export * from "./inventory.ts";
export type { ChangeOptions } from "./change.ts";
export type { LockOptions } from "./lock.ts";
export { type LogOptions, parseHead, readEntries, type ShownEntry } from "./log.ts";
export { type ActName, ACTS, type LogEntry, type LogHead, type LogRecord } from "./log_entry.ts";
export type { LogSignature } from "./log_entry.ts";
export type { LogFault } from "./log_chain.ts";
export { gapText, type LogGap, type NotedGap } from "./log_gap.ts";
export { type LogVerdict, type LogVerifyOptions, verifyLog } from "./log_verify.ts";
export { planIssue, type PlanItem } from "./plan.ts";
export * from "./rebuild.ts";
export * from "./renew.ts";
export * from "./restore.ts";
export type { RenewedAuthority } from "./authority_renewal.ts";
export * from "./revoke.ts";
export { abandonRotation, finishRotation, type RotationEnd } from "./rotate_finish.ts";
export {
  backRotation,
  issueRotation,
  type RotateIssueOptions,
  type RotationIssue,
} from "./rotate_issue.ts";
export {
  type RotateOptions,
  type RotationStart,
  type StartOptions,
  startRotation,
} from "./rotate_start.ts";
export {
  type RotationAuthority,
  type RotationHostState,
  type RotationPosition,
  type RotationStatus,
  rotationStatus,
} from "./rotation.ts";
export type { RootOptions } from "./root.ts";
export * from "./show.ts";
export type { Store, StoredCertificate, StoredRevocation } from "./store.ts";
export { type SignOptions, type SignOutcome, signRequests } from "./sign.ts";
export type { RefusedName } from "./csr_file.ts";
export type { IssuedRecord } from "./issued.ts";
export { REASON_NAMES, type ReasonName } from "./revoked.ts";
export { checkPassphrase, readPassphrase, readQemuPassphrase } from "./passphrase.ts";
export { PKI_DIRECTORY } from "./pki.ts";
export type { TarAccount } from "./tar.ts";
export { type AttributeType, type NameAttribute, parseSubject } from "./name.ts";
export { PROFILE_NAMES, type ProfileName, type Role, ROLES } from "./profile.ts";
export type { HostOptions, HostRequest } from "./request.ts";
export { CA_DAYS, daysUntil, HOST_DAYS, LONGEST_DAYS } from "./validity.ts";
