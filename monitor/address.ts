/** Where a monitor is served: `stdio`, or a socket with QEMU's options. */

import { printable } from "../base/mod.ts";
import { type Address, formatAddress, parseAddress } from "../channel/mod.ts";
import { MonitorError } from "./error.ts";

/** Where a monitor is served. */
export type MonitorAddress =
  | { readonly kind: "stdio" }
  | {
    readonly kind: "socket";
    readonly address: Address;
    /** Whether clients come here, or one is dialled. */
    readonly server: boolean;
    /** Whether the program waits for the first client. */
    readonly wait: boolean;
  };

const FORMS = [
  "write stdio, unix:PATH,server=on,wait=off or tcp:HOST:PORT,server=on,wait=off",
];

/**
 * Reads what stands behind `-monitor` or `-qmp`, as QEMU does for these (chardev/char.c,
 * `qemu_chr_parse_compat`): `server=on` listens and `wait=off` goes on without a client; the older
 * `server` and `nowait` are the same.
 *
 * @throws {MonitorError} `SERVE` If it is none.
 */
export function parseMonitorAddress(text: string): MonitorAddress {
  if (text === "stdio") return { kind: "stdio" };
  const [where = "", ...options] = text.split(",");
  let [server, wait] = [false, true];
  const others: string[] = [];
  for (const option of options) {
    const [, name = "", value = "on"] = /^(\w+)(?:=(.*))?$/.exec(option) ?? [];
    if (name !== "server" && name !== "wait" && name !== "nowait") {
      others.push(option);
      continue;
    }
    if (value !== "on" && value !== "off") {
      throw invalid(text, `Parameter '${name}' expects 'on' or 'off'`);
    }
    if (name === "server") server = value === "on";
    else wait = name === "wait" ? value === "on" : value === "off";
  }
  if (!/^(unix|tcp):/.test(where)) throw invalid(text, `'${printable(text)}' is no address of it`);
  if (!server && options.some((option) => /^(no)?wait\b/.test(option))) {
    throw invalid(text, "'wait' option is incompatible with socket in client connect mode");
  }
  const address = parseAddress([where, ...others].join(","));
  return { kind: "socket", address, server, wait: server && wait };
}

/** Writes an address, with its real port. */
export function formatMonitorAddress(address: Address): string {
  return `${formatAddress(address)},server=on`;
}

function invalid(value: string, text: string): MonitorError {
  return new MonitorError("SERVE", { value, text, hint: FORMS });
}
