/** What `query-migrate` and `info migrate` answer, field by field as QEMU 7.2 does. */

import { type Address, formatTransport, type Transport } from "../channel/mod.ts";
import type { JsonObject } from "../monitor/mod.ts";
import { isUnderWay, type MigrationState, type RamProgress } from "./state.ts";
import { isSocket } from "./transport.ts";

/** Which end of a migration is asked. */
export type MigrationSide = "source" | "target";

/** The answer to `query-migrate`. */
export function queryMigrate(state: MigrationState, side: MigrationSide): JsonObject {
  const address = side === "target" ? waitingAt(state) : undefined;
  const waiting = address === undefined ? {} : { "socket-address": [socketAddress(address)] };
  if (state.status === "none" || (side === "target" && state.status === "setup")) return waiting;
  const { status, error } = state;
  const why = error === undefined || status === "cancelled" ? {} : { "error-desc": error };
  return { ...waiting, status, ...why, ...(side === "source" ? sourceFields(state) : {}) };
}

/** The fields that only a source has, and only with memory on its way. */
function sourceFields(state: MigrationState): JsonObject {
  const { ram, status } = state;
  if (ram === undefined || status === "setup" || status === "cancelled" || status === "failed") {
    return {};
  }
  return {
    "setup-time": Math.round(state.setupTime ?? 0),
    ...(status === "completed"
      ? { downtime: Math.round(state.downtime ?? 0) }
      : { "expected-downtime": Math.round(state.expectedDowntime ?? 0) }),
    ...(state.throttle ? { "cpu-throttle-percentage": Math.round(state.throttle) } : {}),
    "total-time": Math.round(elapsedOf(state)),
    ram: ramFields(state, ram),
  };
}

function ramFields(state: MigrationState, ram: RamProgress): JsonObject {
  const elapsed = elapsedOf(state);
  const sent = ram.normal + ram.duplicate;
  return {
    total: ram.total,
    "postcopy-requests": 0,
    "dirty-sync-count": ram.passes,
    "multifd-bytes": ram.multifdBytes,
    "pages-per-second": elapsed > 0 ? Math.round(sent * 1000 / elapsed) : 0,
    "downtime-bytes": ram.downtimeBytes,
    "page-size": ram.pageSize,
    remaining: ram.remaining,
    "postcopy-bytes": 0,
    mbps: megabits(state),
    transferred: state.bytes,
    "dirty-sync-missed-zero-copy": 0,
    "precopy-bytes": precopyBytes(state, ram),
    duplicate: ram.duplicate,
    "dirty-pages-rate": Math.round(ram.dirtyRate),
    skipped: 0,
    "normal-bytes": ram.normal * ram.pageSize,
    normal: ram.normal,
  };
}

function precopyBytes({ bytes }: MigrationState, ram: RamProgress): number {
  return Math.max(0, bytes - ram.downtimeBytes - ram.multifdBytes);
}

const GLOBALS = [
  "globals:",
  "store-global-state: on",
  "only-migratable: off",
  "send-configuration: on",
  "send-section-footer: on",
  "decompress-error-check: on",
  "clear-bitmap-shift: 18",
];

/** What `info migrate` prints. */
export function describeMigrate(state: MigrationState, side: MigrationSide): string {
  const lines = [...GLOBALS];
  const { status, error } = state;
  if (status !== "none" && !(side === "target" && status === "setup")) {
    const why = status === "failed" && error !== undefined ? ` (${error})` : "";
    lines.push(`Migration status: ${status}${why}`);
    const total = /^(setup|cancelled|failed)$/.test(status) ? 0 : Math.round(elapsedOf(state));
    lines.push(`total time: ${total} ms`);
  }
  if (state.ram !== undefined && side === "source" && !/^(setup|cancelled|failed)$/.test(status)) {
    lines.push(...ramLines(state, state.ram));
  } else if (side === "target" && state.bytes > 0) lines.push(...targetLines(state));
  const address = side === "target" ? waitingAt(state) : undefined;
  if (address !== undefined) lines.push("socket address: [", `\t${formatTransport(address)}`, "]");
  return lines.join("\n");
}

function ramLines(state: MigrationState, ram: RamProgress): string[] {
  const kib = (bytes: number) => `${Math.floor(bytes / 1024)} kbytes`;
  const sent = ram.normal + ram.duplicate;
  const elapsed = elapsedOf(state);
  const precopy = precopyBytes(state, ram);
  return [
    state.status === "completed"
      ? `downtime: ${Math.round(state.downtime ?? 0)} ms`
      : `expected downtime: ${Math.round(state.expectedDowntime ?? 0)} ms`,
    `setup: ${Math.round(state.setupTime ?? 0)} ms`,
    `transferred ram: ${kib(state.bytes)}`,
    `throughput: ${megabits(state).toFixed(2)} mbps`,
    `remaining ram: ${kib(ram.remaining)}`,
    `total ram: ${kib(ram.total)}`,
    `duplicate: ${ram.duplicate} pages`,
    `skipped: 0 pages`,
    `normal: ${ram.normal} pages`,
    `normal bytes: ${kib(ram.normal * ram.pageSize)}`,
    `dirty sync count: ${ram.passes}`,
    `page size: ${kib(ram.pageSize)}`,
    `multifd bytes: ${kib(ram.multifdBytes)}`,
    `pages-per-second: ${elapsed > 0 ? Math.round(sent * 1000 / elapsed) : 0}`,
    ...(ram.dirtyRate > 0 ? [`dirty pages rate: ${Math.round(ram.dirtyRate)} pages`] : []),
    ...(precopy > 0 ? [`precopy ram: ${kib(precopy)}`] : []),
    ...(ram.downtimeBytes > 0 ? [`downtime ram: ${kib(ram.downtimeBytes)}`] : []),
    ...(state.throttle ? [`cpu throttle percentage: ${Math.round(state.throttle)}`] : []),
  ];
}

/** QEMU's destination says nothing of its progress; ours does, in the lines of a source. */
function targetLines(state: MigrationState): string[] {
  return [
    `transferred ram: ${Math.floor(state.bytes / 1024)} kbytes`,
    `throughput: ${megabits(state).toFixed(2)} mbps`,
    ...(state.pages === undefined
      ? []
      : [`duplicate: ${state.pages.zero} pages`, `normal: ${state.pages.normal} pages`]),
  ];
}

function elapsedOf({ started, ended }: MigrationState): number {
  return started === undefined ? 0 : (ended ?? performance.now()) - started;
}

function megabits(state: MigrationState): number {
  const elapsed = elapsedOf(state);
  return elapsed > 0 ? state.bytes * 8 / elapsed / 1000 : 0;
}

/** Where a target waits: QEMU tells it as long as it does, and only of sockets. */
function waitingAt(state: MigrationState): Address | undefined {
  const { address } = state;
  if (address === undefined || !isSocket(address as Transport) || state.status === "completed") {
    return undefined;
  }
  return isUnderWay(state) && state.status !== "setup" ? undefined : address as Address;
}

function socketAddress(address: Address): JsonObject {
  if (address.kind === "unix") return { path: address.path, type: "unix" };
  const family = address.host.includes(":") ? { ipv6: true } : { ipv4: true };
  return { port: String(address.port), ...family, host: address.host, type: "inet" };
}
