/** Where a migration stands, in the words of QEMU's status machine, for whoever asks. */

import { formatTransport, type Transport } from "../channel/mod.ts";

/** The states of `query-migrate` that a peer without post-copy goes through. */
export type MigrationStatus = "none" | "setup" | "active" | "completed" | "failed" | "cancelled";

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
  /** Where a target waits. */
  address?: Transport;
  pages?: { readonly normal: number; readonly zero: number };
}

/** A state as programs start with it. */
export function initialState(): MigrationState {
  return { status: "none", bytes: 0 };
}

/** Begins a new migration in a state that may have seen others. */
export function beginState(state: MigrationState): void {
  state.status = "active";
  state.bytes = 0;
  state.started = performance.now();
  delete state.ended;
  delete state.error;
  delete state.pages;
}

/** Notes how a migration has ended. */
export function endState(state: MigrationState, status: MigrationStatus, error?: string): void {
  state.status = status;
  state.ended = performance.now();
  if (error !== undefined) state.error = error;
}

/** What `info migrate` prints, in the layout of QEMU 7.2. */
export function describeState(state: MigrationState): string {
  const lines: string[] = [];
  if (state.status !== "none") {
    const reason = state.error === undefined ? "" : ` (${state.error})`;
    lines.push(`Migration status: ${state.status}${reason}`);
  }
  if (state.started !== undefined) {
    const elapsed = (state.ended ?? performance.now()) - state.started;
    lines.push(`total time: ${Math.round(elapsed)} ms`);
    lines.push(`transferred ram: ${Math.floor(state.bytes / 1024)} kbytes`);
    const rate = elapsed > 0 ? state.bytes * 8 / elapsed / 1000 : 0;
    lines.push(`throughput: ${rate.toFixed(2)} mbps`);
  }
  if (state.pages !== undefined) {
    lines.push(`duplicate: ${state.pages.zero} pages`, `normal: ${state.pages.normal} pages`);
  }
  if (state.address !== undefined && state.status !== "active") {
    lines.push("socket address: [", `\t${formatTransport(state.address)}`, "]");
  }
  return lines.length === 0 ? "Migration status: none" : lines.join("\n");
}
