import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { formatAddress } from "../../channel/mod.ts";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import {
  type Program,
  qemuPlain,
  qemuTls,
  startProgram,
  startTarget,
  tlsFlags,
  withoutClient,
} from "../migration/programs.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { incomingAddress, type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** Directories of credentials, good ones and each kind of bad one. */
interface Directories {
  readonly target: string;
  readonly source: string;
  readonly anonymous: string;
  readonly stranger: string;
  readonly expired: string;
  readonly elsewhere: string;
}

async function directories(folder: string): Promise<Directories> {
  const pki = await makePki(`${folder}/pki`, {
    hosts: [
      { name: "target", ip: ["127.0.0.1"] },
      { name: "source", ip: ["127.0.0.1"] },
      { name: "old", ip: ["127.0.0.1"], clock: daysFromNow(-900) },
      { name: "elsewhere", ip: ["192.0.2.1"] },
    ],
  });
  const other = await makePki(`${folder}/other`, {
    hosts: [{ name: "stranger", ip: ["127.0.0.1"] }],
  });
  // A stranger still knows the CA of the host that it calls.
  const stranger = `${folder}/stranger`;
  Deno.mkdirSync(stranger);
  for (const name of Deno.readDirSync(other.host("stranger"))) {
    Deno.copyFileSync(`${other.host("stranger")}/${name.name}`, `${stranger}/${name.name}`);
  }
  Deno.copyFileSync(`${pki.dir}/ca-cert.pem`, `${stranger}/ca-cert.pem`);
  return {
    target: pki.host("target"),
    source: pki.host("source"),
    anonymous: withoutClient(pki.host("source"), `${folder}/anonymous`),
    stranger,
    expired: pki.host("old"),
    elsewhere: pki.host("elsewhere"),
  };
}

const unchecked = { "sanity-check": false };

/**
 * A guest whose source learns of a refusal: without return path it calls a migration complete
 * that its kernel has taken from it, whatever becomes of the bytes.
 */
async function startSource(): Promise<Qemu> {
  // One that runs goes on after a failure, and can be migrated again.
  const qemu = await startQemu();
  await qemu.qmp.execute("migrate-set-capabilities", {
    capabilities: [{ capability: "return-path", state: true }],
  });
  return qemu;
}

/** Migrates with what the QEMU was given, and expects it to be refused. */
async function expectRefusal(qemu: Qemu, target: Program & { uri: string }): Promise<string> {
  await qemu.qmp.execute("migrate", { uri: target.uri });
  const end = await migrationEnd(qemu.qmp);
  assertEquals(end.status, "failed", target.stderr());
  return end["error-desc"] ?? "";
}

programTest(
  "the target names why it refuses a QEMU, and serves the next one",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const dirs = await directories(temp.path);
    const file = `${temp.path}/guest.mig`;
    await using target = await startTarget([...tlsFlags(dirs.target, "server"), "--out", file]);
    await using qemu = await startSource();

    await qemuTls(qemu, dirs.anonymous, "client");
    await expectRefusal(qemu, target);
    await target.says(/^error: 127\.0\.0\.1:\d+: Verify failed: No certificate was found\.$/m);
    await qemuPlain(qemu);

    await qemuTls(qemu, dirs.stranger, "client", unchecked);
    await expectRefusal(qemu, target);
    await target.says(/^error: \S+: The certificate hasn't got a known issuer$/m);
    await qemuPlain(qemu);

    await qemuTls(qemu, dirs.expired, "client", unchecked);
    await expectRefusal(qemu, target);
    await target.says(/^error: \S+: The certificate is not trusted\nhint: .*CN=old expired on /m);
    await qemuPlain(qemu);

    // Plain against TLS.
    assertMatch(await expectRefusal(qemu, target), /Unable to write to socket|^$/);
    await target.says(
      /^error: \S+: TLS handshake failed: An unexpected TLS packet was received\.$/m,
    );

    // The source refuses the target: the target cannot know why, and says so.
    await qemuTls(qemu, dirs.source, "client", {}, { "tls-hostname": "somebody.else" });
    assertEquals(
      await expectRefusal(qemu, target),
      "Certificate does not match the hostname somebody.else",
    );
    await target.says(/the peer closed the connection before the first byte|before the end/);
    await qemuPlain(qemu);

    await qemuTls(qemu, dirs.source, "client");
    await qemu.qmp.execute("migrate", { uri: target.uri });
    assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
    assertEquals(await target.exit, 0, target.stderr());
    assertEquals(Deno.statSync(file).isFile, true);
  },
);

programTest(
  "the target decides by tls-authz on the source's DN",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const dirs = await directories(temp.path);
    await using qemu = await startSource();
    await using target = await startTarget([
      "--object",
      "authz-simple,id=auth0,identity=O=virtcreds CA,,CN=source",
      ...tlsFlags(dirs.target, "server"),
      "--tls-authz",
      "auth0",
    ]);
    await qemuTls(qemu, dirs.target, "client");
    await expectRefusal(qemu, target);
    await target.says(
      /^error: \S+: TLS x509 authz check for O=virtcreds CA,CN=target is denied$/m,
    );
    await qemuPlain(qemu);
    await qemuTls(qemu, dirs.source, "client");
    await qemu.qmp.execute("migrate", { uri: target.uri });
    assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
    assertEquals(await target.exit, 0, target.stderr());
    assertMatch(
      target.stderr(),
      /verified, TLS1\.[23] \S+, peer O=virtcreds CA,CN=source, dropped$/m,
    );
  },
);

programTest(
  "the target with a client's credentials refuses everybody, in QEMU's words",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const dirs = await directories(temp.path);
    await using qemu = await startSource();
    const flags = [...tlsFlags(dirs.target, "client"), "--monitor", "stdio"];
    await using target = await startTarget(flags);
    assertStringIncludes(target.stderr(), "warning: every source will be refused");
    await qemuTls(qemu, dirs.source, "client");
    assertMatch(await expectRefusal(qemu, target), /TLS handshake failed: /);
    await target.says(/^error: \S+: Expected TLS credentials for a server endpoint$/m);
    await expectRefusal(qemu, target);
  },
);

programTest(
  "a plain target tells a TLS source apart, and --once ends it with 1",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const dirs = await directories(temp.path);
    await using qemu = await startSource();
    await using target = await startTarget(["--once", "--out", `${temp.path}/g`]);
    await qemuTls(qemu, dirs.source, "client");
    assertMatch(await expectRefusal(qemu, target), /^TLS handshake failed: /);
    assertEquals(await target.exit, 1);
    assertMatch(target.stderr(), /^error: .*Not a migration stream at byte 0$/m);
    assertMatch(target.stderr(), /^hint: the other side speaks TLS: give --tls-creds here/m);
    assertEquals([...Deno.readDirSync(temp.path)].filter((e) => e.isFile), []);
  },
);

/** What our source does to a waiting QEMU, and what both say. */
interface SourceCase {
  readonly what: string;
  readonly qemu: (dirs: Directories) => [dir: string, endpoint: "client" | "server"] | undefined;
  readonly source: (dirs: Directories) => readonly string[];
  /** Our `error:` line. */
  readonly error: RegExp;
  /** What QEMU prints. */
  readonly qemuSays?: RegExp;
  /** Whether QEMU goes on waiting. */
  readonly alive: boolean;
}

const CLOSED = /^error: the peer closed the connection |^error: TLS handshake failed: /m;

const SOURCE_CASES: readonly SourceCase[] = [
  {
    what: "whose certificate names another host",
    qemu: (d) => [d.elsewhere, "server"],
    source: (d) => tlsFlags(d.source, "client"),
    error: /^error: Certificate does not match the hostname 127\.0\.0\.1$/m,
    alive: false,
  },
  {
    what: "that --tls-hostname does not mean",
    qemu: (d) => [d.target, "server"],
    source: (d) => [...tlsFlags(d.source, "client"), "--tls-hostname", "somebody.else"],
    error: /^error: Certificate does not match the hostname somebody\.else$/m,
    alive: false,
  },
  {
    what: "that wants a client certificate and gets none",
    qemu: (d) => [d.target, "server"],
    source: (d) => tlsFlags(d.anonymous, "client"),
    error: CLOSED,
    qemuSays: /Verify failed: No certificate was found\./,
    alive: true,
  },
  {
    what: "that does not know our CA",
    qemu: (d) => [d.target, "server"],
    source: (d) => tlsFlags(d.stranger, "client", ",sanity-check=off"),
    error: CLOSED,
    qemuSays: /The certificate hasn't got a known issuer/,
    alive: true,
  },
  {
    what: "that finds our certificate expired",
    qemu: (d) => [d.target, "server"],
    source: (d) => tlsFlags(d.expired, "client", ",sanity-check=off"),
    error: CLOSED,
    qemuSays: /The certificate is not trusted/,
    alive: true,
  },
  {
    what: "whose certificate has expired",
    qemu: (d) => [d.expired, "server"],
    source: (d) => tlsFlags(d.source, "client"),
    error: /^error: The certificate is not trusted\nhint: .*CN=old expired on /m,
    alive: false,
  },
  {
    what: "of another CA",
    qemu: (d) => [d.stranger, "server"],
    source: (d) => tlsFlags(d.source, "client"),
    error: /^error: The certificate hasn't got a known issuer$/m,
    alive: false,
  },
  {
    what: "that was given a client's credentials",
    qemu: (d) => [d.target, "client"],
    source: (d) => tlsFlags(d.source, "client"),
    error: /^error: TLS handshake failed: /m,
    qemuSays: /Expected TLS credentials for a server endpoint/,
    alive: true,
  },
  {
    what: "with a server's credentials of our own",
    qemu: (d) => [d.target, "server"],
    source: (d) => tlsFlags(d.source, "server"),
    error: /^error: Expected TLS credentials for a client endpoint$/m,
    alive: true,
  },
  {
    what: "that wants TLS, in plain",
    qemu: (d) => [d.target, "server"],
    source: () => [],
    error: /^error: the peer closed the connection /m,
    qemuSays: /TLS handshake failed: An unexpected TLS packet was received\./,
    alive: true,
  },
  {
    what: "that is plain, with TLS",
    qemu: () => undefined,
    source: (d) => tlsFlags(d.source, "client"),
    error: /^error: TLS handshake failed: /m,
    qemuSays: /Not a migration stream/,
    alive: false,
  },
];

for (const engine of ["", "platform"]) {
  const how = engine && ` (${engine})`;
  programTest(
    `the source ends with 1 and names why at a QEMU that refuses it or is not the right one${how}`,
    ["qemu-system-x86_64"],
    async (t) => {
      using temp = temporaryDirectory();
      const dirs = await directories(temp.path);
      const file = `${temp.path}/guest.mig`;
      {
        await using first = await startQemu({ args: ["-S"] });
        await first.qmp.execute("migrate", { uri: `exec:cat >${file}` });
        assertEquals((await migrationEnd(first.qmp)).status, "completed");
      }
      for (const c of SOURCE_CASES) {
        await t.step(`a QEMU ${c.what}`, async () => {
          await using qemu = await startQemu({ args: ["-incoming", "defer"] });
          const [dir, endpoint] = c.qemu(dirs) ?? [];
          if (dir !== undefined) await qemuTls(qemu, dir, endpoint!, unchecked);
          await qemu.qmp.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" });
          const uri = formatAddress(await incomingAddress(qemu));
          const send = (flags: readonly string[]) =>
            startProgram("source", [...flags, "--migrate", uri, "--in", file], {
              VIRTCREDS_ENGINE: engine,
            });
          {
            await using source = send(c.source(dirs));
            assertEquals(await source.exit, 1, source.stderr() + qemu.stderr());
            assertMatch(source.stderr(), c.error);
          }
          if (!c.alive) assertEquals(await qemu.exit, 1);
          if (c.qemuSays !== undefined) assertMatch(qemu.stderr(), c.qemuSays);
          if (!c.alive || endpoint === "client") return;
          await runState(qemu.qmp, "inmigrate");
          await using source = send(tlsFlags(dirs.source, "client"));
          assertEquals(await source.exit, 0, source.stderr() + qemu.stderr());
          await runState(qemu.qmp, "prelaunch");
        });
      }
    },
  );
}
