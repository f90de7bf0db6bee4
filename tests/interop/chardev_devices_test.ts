import { assert, assertEquals } from "@std/assert";
import { dialChardev, parseSocketChardev, planTls } from "../../chardev/mod.ts";
import { objects } from "../chardev/devices.ts";
import { makePki } from "../support/pki.ts";
import { loopbackTest } from "../support/loopback.ts";
import { type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A device of QEMU that takes a socket, what it says first, and what it answers. */
interface DeviceRow {
  readonly id: string;
  /** How it is made, with its chardev. */
  readonly args: readonly string[];
  /** What it says to whoever comes; nothing where only its guest would. */
  readonly says?: RegExp;
  /** Says nothing while the machine stands still. */
  readonly runs?: true;
  /** Writes to I/O ports that make it say so, as its guest's driver would. */
  readonly ports?: readonly (readonly [port: number, value: number])[];
  /** What it is asked, and its answer. */
  readonly asked?: readonly [question: string, answer: RegExp];
}

const DEVICES: readonly DeviceRow[] = [
  {
    id: "monitor",
    args: ["-mon", "chardev=monitor,mode=readline"],
    says: /QEMU \d+\.[\d.]+ monitor/,
    asked: ["info version\r", /\d+\.\d+\.\d+/],
  },
  {
    id: "qmp",
    args: ["-mon", "chardev=qmp,mode=control"],
    says: /^\{"QMP": /,
    asked: ['{"execute": "qmp_capabilities"}', /\{"return": \{\}\}/],
  },
  {
    id: "port",
    args: ["-device", "virtio-serial", "-device", "virtserialport,chardev=port"],
  },
  {
    id: "printer",
    args: ["-device", "isa-parallel,chardev=printer"],
    // The byte, then a strobe.
    ports: [[0x378, 0x51], [0x37a, 0x0c], [0x37a, 0x0d]],
    says: /Q/,
  },
  {
    id: "egd",
    args: ["-object", "rng-egd,id=rng0,chardev=egd", "-device", "virtio-rng-pci,rng=rng0"],
  },
  {
    id: "bmc",
    args: ["-device", "ipmi-bmc-extern,id=bmc0,chardev=bmc", "-device", "isa-ipmi-kcs,bmc=bmc0"],
    // VM_CMD_VERSION of QEMU's hw/ipmi/ipmi_bmc_extern.c, then its version and the end of a command.
    says: /^\xff[^]\xa1/,
  },
  {
    id: "usb",
    args: ["-device", "qemu-xhci", "-device", "usb-redir,chardev=usb"],
    runs: true,
    says: /qemu usb-redir guest \d+\./,
  },
];

async function nameOf(qemu: Qemu, id: string): Promise<string> {
  const rows = await qemu.qmp.execute("query-chardev") as Record<string, string>[];
  return rows.find((row) => row.label === id)!.filename!;
}

loopbackTest(
  "every device of QEMU with a socket is reached over mutual TLS 1.2 and 1.3",
  ["qemu-system-x86_64"],
  async (host) => {
    using folder = temporaryDirectory();
    const pki = await makePki(`${folder.path}/pki`, {
      hosts: [{ name: "vm.example", ip: ["127.0.0.1", "::1"] }, { name: "console.example" }],
    });
    for (const version of ["1.2", "1.3"]) {
      // A printer port does not read, so it would not notice that its first client has left.
      await using qemu = await startQemu({
        // Its firmware would write to the printer's ports meanwhile.
        args: [
          "-S",
          ...["-object", `tls-creds-x509,id=tls0,dir=${pki.host("vm.example")},endpoint=server`],
          ...DEVICES.flatMap(({ id, args }) => [
            "-chardev",
            `socket,id=${id},host=${host},port=0,server=on,wait=off,tls-creds=tls0`,
            ...args,
          ]),
        ],
      });
      using ours = await objects(
        undefined,
        pki.host("console.example"),
        "client",
        `,priority=NORMAL:-VERS-ALL:+VERS-TLS${version}`,
      );
      for (const { id, says, asked, runs, ports = [] } of DEVICES) {
        const what = `${id} with TLS ${version}`;
        const port = /:(\d+),server=on/.exec(await nameOf(qemu, id))![1];
        const chardev = parseSocketChardev(
          `socket,id=c0,host=${host},port=${port},tls-creds=tls0`,
        );
        await using channel = await dialChardev(chardev, { tls: planTls(chardev, ours)! });
        assertEquals(channel.facts?.version, `TLS${version}`, what);
        assertEquals(channel.verified, true, what);
        // QEMU has accepted us too when it names us.
        while (!(await nameOf(qemu, id)).includes(" <-> ")) {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        if (runs) await qemu.qmp.execute("cont");
        for (const [at, value] of ports) {
          await qemu.qmp.execute("human-monitor-command", { "command-line": `o/b ${at} ${value}` });
        }
        let heard = "";
        const until = async (pattern: RegExp) => {
          const buffer = new Uint8Array(4096);
          while (!pattern.test(heard)) {
            const count = await channel.read(buffer);
            assert(count !== null, `${what} left after ${JSON.stringify(heard)}`);
            heard += String.fromCharCode(...buffer.subarray(0, count));
          }
        };
        if (says !== undefined) await until(says);
        if (asked === undefined) continue;
        heard = "";
        for (const byte of bytes(asked[0])) await channel.write(Uint8Array.of(byte));
        await until(asked[1]);
      }
    }
  },
);
