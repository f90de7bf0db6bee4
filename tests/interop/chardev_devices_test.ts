import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { VirtcredsError } from "../../base/mod.ts";
import { revokeCertificates } from "../../ca/mod.ts";
import { dialChardev, parseSocketChardev, planTls } from "../../chardev/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { converse, dial, objects, serve } from "../chardev/devices.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { BANNER, startSerialQemu } from "./chardev_guest.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A device of QEMU that takes a socket, what it says first, and what it answers. */
interface DeviceRow {
  readonly id: string;
  /** How it is made, with its chardev. */
  readonly args: readonly string[];
  /** What it says to whoever comes; nothing where only its guest would. */
  readonly says?: RegExp;
  /** What it is asked, and its answer. */
  readonly asked?: readonly [question: string, answer: RegExp];
}

const DEVICES: readonly DeviceRow[] = [
  {
    id: "monitor",
    args: ["-mon", "chardev=monitor,mode=readline"],
    says: /QEMU 7[\d.]+ monitor/,
    asked: ["info version\r", /7\.\d+\.\d+/],
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
  { id: "printer", args: ["-device", "isa-parallel,chardev=printer"] },
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
    says: /qemu usb-redir guest 7\./,
  },
];

async function nameOf(qemu: Qemu, id: string): Promise<string> {
  const rows = await qemu.qmp.execute("query-chardev") as Record<string, string>[];
  return rows.find((row) => row.label === id)!.filename!;
}

for (const [family, host] of [["IPv4", "127.0.0.1"], ["IPv6", "::1"]] as const) {
  programTest(
    `every device of QEMU with a socket is reached over mutual TLS 1.2 and 1.3, by ${family}`,
    ["qemu-system-x86_64"],
    async () => {
      using folder = temporaryDirectory();
      const pki = await makePki(`${folder.path}/pki`, {
        hosts: [{ name: "vm.example", ip: ["127.0.0.1", "::1"] }, { name: "console.example" }],
      });
      for (const version of ["1.2", "1.3"]) {
        // A printer port does not read, so it would not notice that its first client has left.
        await using qemu = await startQemu({
          args: [
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
        for (const { id, says, asked } of DEVICES) {
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
}

/** Credentials with an authorization of one name. */
async function admitting(dir: string, endpoint: string, dn: string): Promise<ObjectRegistry> {
  const registry = new ObjectRegistry({ engine: await chooseEngine() });
  await registry.add(`tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint}`);
  await registry.add(`authz-simple,id=az,identity=${dn.replaceAll(",", ",,")}`);
  return registry;
}

programTest(
  "QEMU and a chardev let only the distinguished name in that they are told, on either side",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const pki = await makePki(`${folder.path}/pki`, {
      hosts: [{ name: "localhost", ip: ["127.0.0.1"] }, { name: "other.example" }],
    });
    const nameIs = (host: string) => `O=virtcreds CA,CN=${host}`;
    {
      await using serial = await startSerialQemu(
        "host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0,tls-authz=az",
        [
          `tls-creds-x509,id=tls0,dir=${pki.host("localhost")},endpoint=server`,
          `authz-simple,id=az,identity=${nameIs("other.example").replaceAll(",", ",,")}`,
        ],
      );
      await serial.run();
      const address = await serial.address();
      using stranger = await objects(undefined, pki.host("localhost"), "client");
      const refused = await assertRejects(() => dial(stranger, address), VirtcredsError);
      assertMatch(refused.message, /^the peer ended the session: /);
      using known = await objects(undefined, pki.host("other.example"), "client");
      await converse(known, address, { say: "x", hear: "x" });
    }
    using ours = await admitting(pki.host("localhost"), "server", nameIs("other.example"));
    await using server = await serve(ours, { more: ",tls-authz=az" });
    const options = `host=localhost,port=${server.address.port},ipv6=off,tls-creds=tls0`;
    const object = (host: string) => `tls-creds-x509,id=tls0,dir=${pki.host(host)},endpoint=client`;
    {
      await using _ = await startSerialQemu(options, [object("localhost")]);
      const error = await server.refusal(1);
      assertMatch(
        error.message,
        /^TLS x509 authz check for O=virtcreds CA,CN=localhost is denied$/,
      );
      assert(error.hints.length > 0);
    }
    await using serial = await startSerialQemu(options, [object("other.example")]);
    await serial.run();
    await server.local.until(BANNER);
  },
);

programTest(
  "QEMU and a chardev refuse a revoked peer, and a chardev says so",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const engine = await chooseEngine();
    const pki = await makePki(`${folder.path}/pki`, {
      hosts: [{ name: "localhost", ip: ["127.0.0.1"] }, { name: "stolen.example" }],
    });
    await revokeCertificates(["stolen.example"], "keyCompromise", { dir: pki.dir, engine });
    {
      await using serial = await startSerialQemu(
        "host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0",
        [`tls-creds-x509,id=tls0,dir=${pki.host("localhost")},endpoint=server`],
      );
      const address = await serial.address();
      using stolen = await objects(undefined, pki.host("stolen.example"), "client");
      const refused = await assertRejects(() => dial(stolen, address), VirtcredsError);
      assertMatch(refused.message, /^the peer ended the session: /);
      assertMatch(refused.hints.join(), /it may have refused this side's certificate/);
    }
    using ours = await objects(undefined, pki.host("localhost"), "server");
    await using server = await serve(ours);
    await using _ = await startSerialQemu(
      `host=localhost,port=${server.address.port},ipv6=off,tls-creds=tls0`,
      [`tls-creds-x509,id=tls0,dir=${pki.host("stolen.example")},endpoint=client,sanity-check=off`],
    );
    const error = await server.refusal(1);
    assertEquals(error.message, "The certificate has been revoked");
    assert(error.hints.length > 0);
  },
);
