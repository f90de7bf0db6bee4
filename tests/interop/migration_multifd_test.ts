import { assert, assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { formatAddress } from "../../channel/mod.ts";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { readStream } from "../../migration/stream_reader.ts";
import { qemuTls, startProgram, startTarget, tlsFlags } from "../migration/programs.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { incomingAddress, type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { memoryFile, writeMemory } from "./migration_guests.ts";

const HOSTS = [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }];
const MiB = 2 ** 20;

/** Channels, compression, whether the source waits for an acknowledgement. */
const WAYS: readonly [number, string, boolean][] = [
  [1, "none", false],
  [2, "zlib", true],
  [4, "zstd", false],
  [4, "none", true],
];

async function setMultifd(
  { qmp }: Qemu,
  channels: number,
  compression: string,
  more: Readonly<Record<string, boolean>> = {},
): Promise<void> {
  await qmp.execute("migrate-set-capabilities", {
    capabilities: Object.entries({ multifd: true, ...more })
      .map(([capability, state]) => ({ capability, state })),
  });
  await qmp.execute("migrate-set-parameters", {
    "multifd-channels": channels,
    "multifd-compression": compression,
    "max-bandwidth": 10_000_000_000,
  });
}

const flags = (channels: number, compression: string) => [
  "--capability",
  "multifd=on",
  "--parameter",
  `multifd-channels=${channels}`,
  "--parameter",
  `multifd-compression=${compression}`,
];

for (const [channels, compression, returnPath] of WAYS) {
  programTest(
    `a QEMU's guest comes whole over ${channels} channels with ${compression} and TLS 1.3${
      returnPath ? ", acknowledged" : ""
    }`,
    ["qemu-system-x86_64"],
    async () => {
      using temp = temporaryDirectory();
      const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
      const size = 32 * MiB;
      const digest = writeMemory(`${temp.path}/ram`, size);
      for (const keep of [["--guest-ram", "128M"], ["--out", `${temp.path}/guest.mig`]]) {
        await using target = await startTarget([
          ...tlsFlags(pki.host("vm2"), "server"),
          ...flags(channels, compression),
          ...keep,
        ]);
        await using qemu = await startQemu({
          machine: "pc,memory-backend=m0",
          memory: "32M",
          args: ["-S", ...memoryFile(`${temp.path}/ram`, size)],
        });
        await qemuTls(qemu, pki.host("vm1"), "client");
        await setMultifd(qemu, channels, compression, { "return-path": returnPath });
        await qemu.qmp.execute("migrate", { uri: target.uri });
        const end = await migrationEnd(qemu.qmp);
        assertEquals(end.status, "completed", `${end["error-desc"]} ${target.stderr()}`);
        assertEquals(await target.exit, 0, target.stderr());
        assertMatch(target.stderr(), /device sections verified, TLS1\.3 /);
        if (keep[0] === "--guest-ram") {
          assert(target.stdout().includes(`${digest}  m0\n`), target.stdout());
        }
      }
      const reader = readStream();
      reader.push(Deno.readFileSync(`${temp.path}/guest.mig`));
      const summary = reader.end();
      assertEquals(summary.validation?.kind, "sections");
      assert(summary.pages.normal * 4096 > size / 3);

      // Any QEMU takes the kept stream, multifd or not.
      await using second = await startQemu({
        machine: "pc,memory-backend=m0",
        memory: "32M",
        args: [
          "-S",
          "-object",
          `memory-backend-file,id=m0,size=${size},mem-path=${temp.path}/ram2,share=on`,
          "-incoming",
          `exec:cat ${temp.path}/guest.mig`,
        ],
      });
      assertEquals((await migrationEnd(second.qmp)).status, "completed", second.stderr());
      const loaded = createHash("sha256").update(Deno.readFileSync(`${temp.path}/ram2`));
      assertEquals(loaded.digest("hex"), digest);
    },
  );
}

/** A QEMU that waits, and whose memory can be looked at in a file. */
async function waitingQemu(file: string, size: number, creds: string): Promise<Qemu> {
  const qemu = await startQemu({
    machine: "pc-i440fx-7.2,memory-backend=m0",
    memory: `${size / MiB}M`,
    args: [
      "-S",
      "-object",
      `memory-backend-file,id=m0,size=${size},mem-path=${file},share=on`,
      "-incoming",
      "defer",
    ],
  });
  await qemuTls(qemu, creds, "server");
  return qemu;
}

async function listens(qemu: Qemu): Promise<string> {
  await qemu.qmp.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" });
  return formatAddress(await incomingAddress(qemu));
}

for (const [channels, compression] of [[0, ""], [1, "zlib"], [2, "none"], [4, "zstd"]] as const) {
  const way = channels === 0 ? "one connection" : `${channels} channels with ${compression}`;
  const multifd = channels === 0 ? [] : flags(channels, compression);
  programTest(
    `a guest of ours that writes meanwhile goes whole into a QEMU over ${way} and TLS 1.3`,
    ["qemu-system-x86_64"],
    async () => {
      using temp = temporaryDirectory();
      const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
      const file = `${temp.path}/ram`;
      await using qemu = await waitingQemu(file, 64 * MiB, pki.host("vm2"));
      if (channels > 0) await setMultifd(qemu, channels, compression);
      await using source = startProgram("source", [
        ...tlsFlags(pki.host("vm1"), "client"),
        ...multifd,
        ...["--migrate", await listens(qemu), "--guest-ram", "64M", "--dirty-rate", "20M"],
        ...["--guest-machine", "pc-i440fx-7.2", "--guest-block", "m0"],
        ...["--parameter", "downtime-limit=20"],
      ]);
      assertEquals(await source.exit, 0, source.stderr() + qemu.stderr());
      assertMatch(source.stderr(), /TLS1\.3 TLS_AES_256_GCM.* acknowledged by the destination/);
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed", qemu.stderr());
      const digest = createHash("sha256").update(Deno.readFileSync(file)).digest("hex");
      assertEquals(source.stdout(), `${digest}  m0\n`);
    },
  );
}

programTest(
  "a kept guest goes over multifd into a QEMU, with its devices, and runs there",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
    const size = 32 * MiB;
    const digest = writeMemory(`${temp.path}/ram`, size);
    const kept = `${temp.path}/guest.mig`;
    {
      await using qemu = await startQemu({
        machine: "pc-i440fx-7.2,memory-backend=m0",
        args: ["-S", ...memoryFile(`${temp.path}/ram`, size)],
      });
      await qemu.qmp.execute("migrate", { uri: `exec:cat >${kept}` });
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
    }
    for (const [channels, compression] of [[2, "none"], [3, "zlib"]] as const) {
      const file = `${temp.path}/ram${channels}`;
      await using qemu = await waitingQemu(file, size, pki.host("vm2"));
      await setMultifd(qemu, channels, compression);
      await using source = startProgram("source", [
        ...tlsFlags(pki.host("vm1"), "client"),
        ...flags(channels, compression),
        ...["--migrate", await listens(qemu), "--in", kept],
      ]);
      assertEquals(await source.exit, 0, source.stderr() + qemu.stderr());
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed", qemu.stderr());
      const loaded = createHash("sha256").update(Deno.readFileSync(file)).digest("hex");
      assertEquals(loaded, digest);
      await qemu.qmp.execute("cont");
      await runState(qemu.qmp, "running");
    }
  },
);

const UUID = "11111111-2222-3333-4444-55555555abcd";

programTest(
  "a QEMU with -uuid takes the channels of its own guest, and our source says so of others",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
    const kept = `${temp.path}/guest.mig`;
    const setCapabilities = ({ qmp }: Qemu, names: readonly string[]) =>
      qmp.execute("migrate-set-capabilities", {
        capabilities: names.map((capability) => ({ capability, state: true })),
      });
    const machine = "pc-i440fx-7.2";
    {
      await using qemu = await startQemu({ machine, args: ["-S", "-uuid", UUID] });
      await setCapabilities(qemu, ["validate-uuid"]);
      await qemu.qmp.execute("migrate", { uri: `exec:cat >${kept}` });
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
    }
    const builtIn = ["--guest-ram", "32M", "--guest-machine", machine, "--guest-block", "pc.ram"];
    const rows: readonly [source: readonly string[], secure: boolean, taken: boolean][] = [
      [[...builtIn, "--guest-uuid", UUID.toUpperCase()], true, true],
      [["--in", kept], false, true],
      [["--in", kept, "--guest-uuid", UUID.replace("1", "2")], false, false],
      [builtIn, false, false],
      [builtIn, true, false],
    ];
    for (const [given, secure, taken] of rows) {
      await using qemu = await startQemu({
        machine,
        memory: "32M",
        args: ["-S", "-uuid", UUID, "-incoming", "defer"],
      });
      if (secure) await qemuTls(qemu, pki.host("vm2"), "server");
      await setMultifd(qemu, 2, "none", { "validate-uuid": given[0] === "--in" });
      const address = await listens(qemu);
      await using source = startProgram("source", [
        ...(secure ? tlsFlags(pki.host("vm1"), "client") : []),
        ...flags(2, "none"),
        ...["--migrate", address, ...given],
      ]);
      const what = `${given.join(" ")} ${secure}: ${source.stderr()}${qemu.stderr()}`;
      assertEquals(await source.exit, taken ? 0 : 1, what);
      if (taken) {
        assertEquals((await migrationEnd(qemu.qmp)).status, "completed", qemu.stderr());
        continue;
      }
      const said = source.stderr();
      assertMatch(said, /error: the peer closed the connection of multifd channel [01] to /);
      assert(said.includes(`to ${address.slice("tcp:".length)} before the end of the`), said);
      assertMatch(said, /hint: a QEMU with -uuid .*: --guest-uuid UUID\n/);
    }
  },
);
