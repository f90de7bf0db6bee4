/** A guest without an OS that echoes its serial port, and QEMU with it on a socket chardev. */

import type { TcpAddress } from "../../channel/mod.ts";
import { type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** What the guest says when it has started. */
export const BANNER = "BOOT-OK\r\n";

/**
 * 8086 code: sets up COM1, prints the banner, then polls and sends every byte back. It takes one
 * byte at a time (no FIFO), and spins: stop it soon.
 */
const ECHO =
  "fc31c08ed88ed0bc007cbe397cac84c07405e81500ebf6f390bafd03eca80174f6baf803ece80200ebed50bafd03eca8" +
  "2074fb58baf803eec3424f4f542d4f4b0d0a00";

/** The boot sector: code, zeros, signature. */
function bootSector(): Uint8Array {
  const sector = new Uint8Array(512);
  for (let i = 0; i < ECHO.length / 2; i++) {
    sector[i] = parseInt(ECHO.slice(2 * i, 2 * i + 2), 16);
  }
  sector.set([0x55, 0xaa], 510);
  return sector;
}

/** A QEMU with a serial port. */
export interface SerialQemu extends AsyncDisposable {
  readonly qemu: Qemu;
  /** Lets the guest run; it stands still until then. */
  run(): Promise<void>;
  /** Where its chardev `c0` listens. */
  address(): Promise<TcpAddress>;
  /** Waits until `c0` has a peer; QEMU drops what the guest says before. */
  connected(): Promise<void>;
  /** Gives the guest another socket as `c0`, with options of QMP: `tls-creds`, `telnet`. */
  change(
    host: string,
    port: number,
    options: Readonly<Record<string, string | boolean>>,
  ): Promise<void>;
}

/**
 * Starts a QEMU, its guest standing still, whose serial port is the chardev `c0`.
 *
 * @param chardev The text after `socket,id=c0,`.
 */
export async function startSerialQemu(
  chardev: string,
  objects: readonly string[] = [],
): Promise<SerialQemu> {
  const folder = temporaryDirectory();
  try {
    const image = `${folder.path}/boot.img`;
    Deno.writeFileSync(image, bootSector());
    const qemu = await startQemu({
      memory: "16M",
      args: [
        "-S",
        ...objects.flatMap((object) => ["-object", object]),
        ...["-drive", `format=raw,file=${image},if=ide,snapshot=on`],
        ...["-chardev", `socket,id=c0,${chardev}`, "-device", "isa-serial,chardev=c0"],
      ],
    });
    const filename = async () => {
      const rows = await qemu.qmp.execute("query-chardev") as Record<string, string>[];
      return rows.find((row) => row.label === "c0")?.filename ?? "";
    };
    return {
      qemu,
      async run() {
        await qemu.qmp.execute("cont");
      },
      async address() {
        const name = await filename();
        const match = /tcp:\[?([\d.]+|::1)\]?:(\d+),server/.exec(name);
        if (match === null) throw new Error(`c0 does not listen: ${name}`);
        return { kind: "tcp", host: match[1]!, port: Number(match[2]) };
      },
      async connected() {
        while (!(await filename()).includes(" <-> ")) {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      },
      async change(host, port, options) {
        const addr = { type: "inet", data: { host, port: String(port) } };
        const backend = { type: "socket", data: { addr, ...options } };
        await qemu.qmp.execute("chardev-change", { id: "c0", backend });
      },
      async [Symbol.asyncDispose]() {
        await qemu[Symbol.asyncDispose]();
        folder[Symbol.dispose]();
      },
    };
  } catch (error) {
    folder[Symbol.dispose]();
    throw error;
  }
}
