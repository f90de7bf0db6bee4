/** Where a migration stands, in the words of QEMU's status machine, for whoever asks. */

import type { Transport } from "../channel/mod.ts";

/** The states of `query-migrate`. */
export type MigrationStatus =
  | "none"
  | "setup"
  | "active"
  | "pre-switchover"
  | "device"
  | "postcopy-active"
  | "cancelling"
  | "cancelled"
  | "completed"
  | "failed";

/** What is known of a guest's memory on its way; pages are of {@linkcode RamProgress.pageSize}. */
export interface RamProgress {
  /** Bytes of memory. */
  total: number;
  /** Bytes that are still to be sent. */
  remaining: number;
  /** Pages that were sent whole, and those that were all zeros. */
  normal: number;
  duplicate: number;
  /** Rounds over the memory. */
  passes: number;
  /** Pages a second that the guest writes anew. */
  dirtyRate: number;
  /** Bytes on the channels of multifd. */
  multifdBytes: number;
  /** Bytes sent while the guest stood still. */
  downtimeBytes: number;
  /** Bytes. */
  pageSize: number;
}

/** A migration, this one or the last. */
export interface MigrationState {
  status: MigrationStatus;
  /** Why it failed. */
  error?: string;
  /** Bytes of the stream so far. */
  bytes: number;
  /** ms on the clock of `performance.now()`. */
  started?: number;
  ended?: number;
  /** ms until the first byte of memory. */
  setupTime?: number;
  /** ms that the guest stood still, and would, going by what is known. */
  downtime?: number;
  expectedDowntime?: number;
  /** Percent of its time that the guest loses. */
  throttle?: number;
  /** Where a target waits. */
  address?: Transport;
  pages?: { readonly normal: number; readonly zero: number };
  ram?: RamProgress;
  /** Told of each status as it comes. */
  onStatus?: (status: MigrationStatus) => void;
  /** Told of each round over the memory, the first being 1. */
  onPass?: (pass: number) => void;
}

/** A state as programs start with it. */
export function initialState(): MigrationState {
  return { status: "none", bytes: 0 };
}

/** What is known of memory that nothing of is sent yet. */
export function initialRam(total: number, pageSize = 4096): RamProgress {
  return {
    total,
    remaining: total,
    normal: 0,
    duplicate: 0,
    passes: 0,
    dirtyRate: 0,
    multifdBytes: 0,
    downtimeBytes: 0,
    pageSize,
  };
}

/** Goes to a status, and tells whoever listens. */
export function setStatus(state: MigrationState, status: MigrationStatus): void {
  if (state.status === status) return;
  state.status = status;
  state.onStatus?.(status);
}

/** Counts a round over the memory, and tells whoever listens. */
export function countPass(state: MigrationState): void {
  if (state.ram !== undefined) state.ram.passes++;
  state.onPass?.(state.ram?.passes ?? 1);
}

/**
 * Begins a new migration in a state that may have seen others.
 *
 * @param status `setup` until it is connected, `active` from then on.
 */
export function beginState(state: MigrationState, status: MigrationStatus = "active"): void {
  state.bytes = 0;
  state.started = performance.now();
  for (const key of FORGOTTEN) delete state[key];
  setStatus(state, status);
}

const FORGOTTEN = [
  "ended",
  "error",
  "pages",
  "ram",
  "setupTime",
  "downtime",
  "expectedDowntime",
  "throttle",
] as const;

/** Notes how a migration has ended. */
export function endState(state: MigrationState, status: MigrationStatus, error?: string): void {
  state.ended = performance.now();
  if (error !== undefined) state.error = error;
  setStatus(state, status);
}

/** Whether a migration is under way, so that no other one may begin. */
export function isUnderWay({ status }: Pick<MigrationState, "status">): boolean {
  return ["setup", "active", "pre-switchover", "device", "postcopy-active", "cancelling"]
    .includes(status);
}
