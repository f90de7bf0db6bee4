/** Exported credentials where real programs look for them: they start, serve and let each other in. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { packExport, planExport, writeExport } from "../../ca/mod.ts";
import { findLayout, LAYOUT_NAMES } from "../../creds/mod.ts";
import { run } from "../support/command.ts";
import { makePki, type Pki } from "../support/pki.ts";
import { programTest, skippedTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { connectNbd } from "./ca_nbd.ts";

async function makeHosts(temp: string, keyType: "ec-p256" | "rsa-2048" = "ec-p256"): Promise<Pki> {
  const ip = ["127.0.0.1"];
  const hosts = [{ name: "vm1", ip, keyType }, { name: "vm2", ip, keyType }];
  return await makePki(`${temp}/pki`, { hosts });
}

/** Unpacks an export as the host's root would, below a folder. */
async function unpack(pki: Pki, layout: string, root: string, host = "vm1"): Promise<void> {
  const archive = `${root}.tar`;
  const { bytes } = packExport(planExport({ dir: pki.dir, host, layout }));
  Deno.writeFileSync(archive, bytes);
  Deno.mkdirSync(root, { recursive: true });
  const { code, stderr } = await run("tar", ["-C", root, "-x", "-f", archive]);
  assertEquals([code, stderr], [0, ""]);
}

/** Every entry below a folder with what `stat` says of it. */
async function listing(folder: string): Promise<string[]> {
  const { stdout } = await run("find", [folder, "-mindepth", "1", "-printf", "%P %m %U:%G\n"]);
  return stdout.trimEnd().split("\n").sort();
}

const isRoot = Deno.uid() === 0;

for (const layout of LAYOUT_NAMES) {
  programTest(`tar unpacks the layout ${layout} with its names, modes and owners`, [
    "tar",
    "find",
  ], async () => {
    using temp = temporaryDirectory();
    const pki = await makeHosts(temp.path);
    await unpack(pki, layout, `${temp.path}/root`);
    const { place, directories, files } = findLayout(layout);
    const found = await listing(`${temp.path}/root`);
    const base = place.replace(/^~?\//, "");
    for (const { path, mode, group } of [...directories, ...files]) {
      const name = `${base}${path === "" ? "" : `/${path}`}`;
      // The account of QEMU has no name here, so its number counts.
      const gid = group === "qemu" ? 64_055 : 0;
      const owner = isRoot ? `0:${gid}` : `${Deno.uid()}:${Deno.gid()}`;
      assertEquals(found.filter((line) => line.startsWith(`${name} `)), [
        `${name} ${mode.toString(8)} ${owner}`,
      ]);
    }
  });
}

/** Takes what was unpacked for this machine's own, seen by this process alone. */
const VALIDATE = `
set -e
hostname vm1
cp -a /etc "$2/etc"
rm -rf "$2/etc/pki"
tar -C "$2" -x -f "$1"
mount --bind "$2/etc" /etc
exec virt-pki-validate
`;

const UNSHARE = (await run("unshare", ["-m", "-u", "true"]).catch(() => ({ code: 1 }))).code === 0;

if (UNSHARE || Deno.env.get("CI")) {
  programTest("virt-pki-validate has nothing to say of an unpacked archive", [
    "virt-pki-validate",
    "certtool",
  ], async () => {
    using temp = temporaryDirectory();
    const pki = await makeHosts(temp.path);
    const { bytes } = packExport(planExport({ dir: pki.dir, host: "vm1", layout: "libvirt" }));
    const archive = `${temp.path}/vm1.tar`;
    Deno.writeFileSync(archive, bytes);
    Deno.mkdirSync(`${temp.path}/scratch`);
    const args = ["-m", "-u", "bash", "-c", VALIDATE, "bash", archive, `${temp.path}/scratch`];
    const { code, stdout, stderr } = await run("unshare", args);
    assertEquals(code, 0, stderr);
    const said = (stdout + stderr).trim().split("\n");
    assertEquals(said.filter((line) => line.startsWith("Found ")).length, 6, said.join("\n"));
    assertEquals(said.length, 6, said.join("\n"));
  });
} else {
  const name = "virt-pki-validate has nothing to say of an unpacked archive";
  skippedTest(name, "needs root: unshare -m");
}

/** A port that nobody listens on, for programs that cannot be asked which one they took. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/**
 * Has `openssl s_client` reach a port and say something, until what comes back has a text or the
 * other side ends it; gives all that came, one character for each octet.
 */
async function connectOpenssl(
  port: number,
  trust: string,
  hello: Uint8Array,
  until: string,
  ...more: readonly string[]
): Promise<string> {
  const child = new Deno.Command("openssl", {
    args: [
      ...["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", trust, "-verify_return_error"],
      ...["-verify_hostname", "vm1", "-nocommands", "-ign_eof", ...more],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
  const writer = child.stdin.getWriter();
  writer.write(hello).catch(() => {});
  let said = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream("latin1"))) {
    said += chunk;
    if (said.includes(until) && said.includes("Verification: OK")) break;
  }
  clearTimeout(timer);
  try {
    child.kill("SIGKILL");
  } catch { /* it has ended */ }
  await writer.close().catch(() => {});
  await child.status;
  return said;
}

programTest("a SPICE server serves with the layout spice", [
  "qemu-system-x86_64",
  "openssl",
], async () => {
  using temp = temporaryDirectory();
  const pki = await makeHosts(temp.path);
  const out = `${temp.path}/libvirt-spice`;
  writeExport(planExport({ dir: pki.dir, host: "vm1", layout: "spice" }), out);
  const port = freePort();
  await using _qemu = await startQemu({
    args: ["-spice", `addr=127.0.0.1,tls-port=${port},x509-dir=${out},disable-ticketing=on`],
  });
  // A SpiceLinkMess for the main channel without capabilities: magic, version 2.2, size, then
  // connection, channel type and number, counts of capabilities, their offset.
  const hello = Uint8Array.of(
    ...[0x52, 0x45, 0x44, 0x51, 2, 0, 0, 0, 2, 0, 0, 0, 18, 0, 0, 0],
    ...[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 18, 0, 0, 0],
  );
  const reply = "REDQ\x02\0\0\0\x02\0\0\0";
  const said = await connectOpenssl(port, `${out}/ca-cert.pem`, hello, reply);
  assertStringIncludes(said, "Verification: OK");
  assertStringIncludes(said, reply);
});

/**
 * Listens for one client, does VeNCrypt's part before TLS with a VNC server on its behalf, and
 * carries bytes after it.
 */
function beforeTls(
  vnc: number,
): { readonly port: number; readonly done: Promise<void> } & Disposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async () => {
    using client = await listener.accept();
    using server = await Deno.connect({ hostname: "127.0.0.1", port: vnc });
    const read = async (length: number) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length;) at += (await server.read(bytes.subarray(at)))!;
      return [...bytes];
    };
    const write = (...bytes: number[]) => server.write(Uint8Array.from(bytes));
    const VERSION = [...new TextEncoder().encode("RFB 003.008\n")];
    assertEquals(await read(12), VERSION);
    await write(...VERSION);
    // One security type, VeNCrypt, of version 0.2, with one sub-type, X509None.
    assertEquals(await read(2), [1, 19]);
    await write(19);
    assertEquals(await read(2), [0, 2]);
    await write(0, 2);
    assertEquals(await read(6), [0, 1, 0, 0, 1, 4]);
    await write(0, 0, 1, 4);
    assertEquals(await read(1), [1]);
    const carry = (from: Deno.Conn, to: Deno.Conn) =>
      from.readable.pipeTo(to.writable).catch(() => {});
    await Promise.race([carry(client, server), carry(server, client)]);
  };
  const done = serve();
  return {
    port: listener.addr.port,
    done,
    [Symbol.dispose]: () => listener.close(),
  };
}

programTest("a VNC server serves with the layout vnc, and only who has credentials", [
  "qemu-system-x86_64",
  "openssl",
], async () => {
  using temp = temporaryDirectory();
  const pki = await makeHosts(temp.path);
  const out = `${temp.path}/libvirt-vnc`;
  writeExport(planExport({ dir: pki.dir, host: "vm1", layout: "vnc" }), out);
  const port = freePort();
  await using _qemu = await startQemu({
    args: [
      ...["-object", `tls-creds-x509,id=tls0,dir=${out},endpoint=server,verify-peer=on`],
      ...["-vnc", `127.0.0.1:${port - 5900},tls-creds=tls0`],
    ],
  });
  const client = pki.host("vm2");
  const own = ["-cert", `${client}/client-cert.pem`, "-key", `${client}/client-key.pem`];
  for (const [args, expected] of [[own, true], [[], false]] as const) {
    using proxy = beforeTls(port);
    // Shared flag 1 asks for the screen: what comes is the result, 0, and then its name.
    const shared = Uint8Array.of(1);
    const said = await connectOpenssl(proxy.port, `${out}/ca-cert.pem`, shared, "QEMU", ...args);
    await proxy.done;
    assertStringIncludes(said, "Verification: OK");
    assertEquals(said.includes("QEMU"), expected, said);
  }
});

programTest("an NBD server with the layout backup serves a client with the layout nbd", [
  "qemu-nbd",
  "qemu-img",
], async () => {
  using temp = temporaryDirectory();
  const pki = await makeHosts(temp.path);
  const [server, client] = [`${temp.path}/libvirt-backup`, `${temp.path}/libvirt-nbd`];
  writeExport(planExport({ dir: pki.dir, host: "vm1", layout: "backup" }), server);
  writeExport(planExport({ dir: pki.dir, host: "vm2", layout: "nbd" }), client);
  const reached = await connectNbd(server, client, "vm1");
  assertEquals([reached.ok, reached.client], [true, ""]);
  const other = await connectNbd(server, client, "vm2");
  assertEquals(other.ok, false);
  assertMatch(other.client, /Certificate does not match the hostname vm2/);
});

for (const [group, bits] of [["ffdhe2048", 2048], ["ffdhe3072", 3072]] as const) {
  programTest(`certtool has the same ${group} as dh-params.pem`, ["certtool"], async () => {
    using temp = temporaryDirectory();
    const pki = await makeHosts(temp.path);
    const plan = planExport({ dir: pki.dir, host: "vm1", layout: "qemu", dhParams: group });
    const data = plan.entries.find(({ path }) => path === "dh-params.pem")!.data;
    const level = bits === 2048 ? "medium" : "high";
    const { stdout } = await run("certtool", ["--get-dh-params", "--sec-param", level]);
    const pem = /-----BEGIN[^]*-----END DH PARAMETERS-----\n/.exec(stdout)![0];
    assertEquals(new TextDecoder().decode(data), pem);
  });

  programTest(`a QEMU before 10.2 uses the ${group} of dh-params.pem`, [
    "qemu-system-x86_64",
    "openssl",
  ], async () => {
    using temp = temporaryDirectory();
    const pki = await makeHosts(temp.path, "rsa-2048");
    const out = `${temp.path}/qemu`;
    writeExport(
      planExport({ dir: pki.dir, host: "vm1", layout: "qemu", dhParams: group }),
      out,
    );
    const port = freePort();
    await using qemu = await startQemu({
      args: [
        ...["-object", `tls-creds-x509,id=tls0,dir=${out},endpoint=server,verify-peer=off`],
        ...[
          "-chardev",
          `socket,id=c,host=127.0.0.1,port=${port},server=on,wait=off,tls-creds=tls0`,
        ],
      ],
    });
    const { qemu: { major, minor } } = (await qemu.qmp.execute("query-version")) as {
      qemu: { major: number; minor: number };
    };
    if (major > 10 || (major === 10 && minor >= 2)) return;
    // OpenSSL offers no groups in TLS 1.2: GnuTLS takes the server's own parameters.
    const dhe = ["-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"];
    const used = `Server Temp Key: DH, ${bits} bits`;
    const said = await connectOpenssl(port, `${out}/ca-cert.pem`, new Uint8Array(), used, ...dhe);
    assertStringIncludes(said, used);
  });
}
