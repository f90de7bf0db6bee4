/** The parameters of a migration: names, defaults, ranges and messages of QEMU 7.2 (qapi/migration.json). */

/** A whole number. */
export interface NumberParameter {
  readonly kind: "number";
  readonly default: number;
  readonly least: number;
  readonly most: number;
  /** Of the type that QEMU gives it. */
  readonly bits: 8 | 32 | 64;
  /** The end of QEMU's message; without it no value of the type is refused. */
  readonly range?: string;
  /** How the human monitor reads it: a number, one with K, M, …, or one that is of megabytes then. */
  readonly typed: "count" | "size" | "megabytes";
  /** Behind the number where the human monitor shows it. */
  readonly unit?: string;
}

/** A parameter of any kind. */
export type ParameterSpec =
  | { readonly kind: "text" }
  | { readonly kind: "flag"; readonly default: boolean }
  | { readonly kind: "word"; readonly words: readonly [string, ...string[]] }
  | NumberParameter;

const LIMIT = 2 ** 64;
const from = (least: number, most: number) => `a value between ${least} and ${most}`;
const integer = (least: number | string, most: number | string) =>
  `an integer in the range of ${least} to ${most}`;

const byte = <D extends number>(value: D, least: number, most: number, range: string) =>
  ({ kind: "number", default: value, least, most, bits: 8, range, typed: "count" }) as const;

const announce = (value: number, least: number, most: number, range: string, unit?: "ms") =>
  ({
    kind: "number",
    default: value,
    least,
    most,
    bits: 64,
    range,
    typed: "size",
    ...(unit === undefined ? {} : { unit: ` ${unit}` }),
  }) as const;

/**
 * All of them, in the order in which the human monitor shows them.
 *
 * Nothing depends here on those of announcements (there is no network card), compression of the old
 * kind, XBZRLE and COLO, which a source of ours never does.
 */
export const PARAMETERS = {
  "announce-initial": announce(50, 0, 100_000, from(0, 100_000), "ms"),
  "announce-max": announce(550, 0, 100_000, from(0, 100_000), "ms"),
  "announce-rounds": announce(5, 0, 1_000, from(0, 1_000)),
  "announce-step": announce(100, 1, 10_000, from(0, 10_000), "ms"),
  "compress-level": byte(1, 0, 9, from(0, 9)),
  "compress-threads": byte(8, 1, 255, from(1, 255)),
  "compress-wait-thread": { kind: "flag", default: true },
  "decompress-threads": byte(2, 1, 255, from(1, 255)),
  /** Share in percent of the bytes sent that a guest may write anew before it is throttled. */
  "throttle-trigger-threshold": byte(50, 1, 100, integer(1, 100)),
  /** Percent of its time that a guest loses at first. */
  "cpu-throttle-initial": byte(20, 1, 99, integer(1, 99)),
  /** Percent that are added each time. */
  "cpu-throttle-increment": byte(10, 1, 99, integer(1, 99)),
  "cpu-throttle-tailslow": { kind: "flag", default: false },
  "max-cpu-throttle": byte(99, 1, 99, integer("cpu_throttle_initial", 99)),
  /** Id of the credentials object; empty for plain. */
  "tls-creds": { kind: "text" },
  /** What the source checks the certificate against; empty for the host of the address. */
  "tls-hostname": { kind: "text" },
  /** Bytes a second that a source may send; 0 is no limit. */
  "max-bandwidth": {
    kind: "number",
    default: 128 * 2 ** 20,
    least: 0,
    most: LIMIT,
    bits: 64,
    typed: "megabytes",
    unit: " bytes/second",
  },
  /** Longest time in ms that a guest may stand still at the switch. */
  "downtime-limit": {
    kind: "number",
    default: 300,
    least: 0,
    most: 2_000_000,
    bits: 64,
    range: integer(0, "(2000 * 1000) ms"),
    typed: "size",
    unit: " ms",
  },
  "x-checkpoint-delay": {
    kind: "number",
    default: 20_000,
    least: 0,
    most: 2 ** 32 - 1,
    bits: 32,
    typed: "count",
    unit: " ms",
  },
  "block-incremental": { kind: "flag", default: false },
  /** Connections beside the main one. */
  "multifd-channels": byte(2, 1, 255, from(1, 255)),
  "multifd-compression": { kind: "word", words: ["none", "zlib", "zstd"] },
  "xbzrle-cache-size": {
    kind: "number",
    default: 64 * 2 ** 20,
    least: 4096,
    most: LIMIT,
    bits: 64,
    range: "a power of two no less than the target page size",
    typed: "size",
    unit: " bytes",
  },
  /** Bytes a second after the switch to post-copy; 0 is no limit. */
  "max-postcopy-bandwidth": {
    kind: "number",
    default: 0,
    least: 0,
    most: LIMIT,
    bits: 64,
    typed: "size",
  },
  /** Id of the authorization object that the target asks about the source. */
  "tls-authz": { kind: "text" },
  "multifd-zlib-level": byte(1, 0, 9, from(0, 9)),
  "multifd-zstd-level": byte(1, 0, 20, from(0, 20)),
  /** Where pages of zeros are told of: on the main channel, or in multifd's packets (9.0). */
  "zero-page-detection": { kind: "word", words: ["legacy", "multifd"] },
} as const satisfies Readonly<Record<string, ParameterSpec>>;

/** Those that the human monitor of 7.2 does not show. */
export const UNSHOWN: ReadonlySet<string> = new Set([
  "multifd-zlib-level",
  "multifd-zstd-level",
  "zero-page-detection",
]);
