import { assert, assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { migrationEnd } from "../../migration/qmp_client.ts";
import { qemuTls, startTarget, tlsFlags } from "../migration/programs.ts";
import { virtcreds } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

const HOSTS = [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }];
const MiB = 2 ** 20;

/** Channels, compression, whether the source waits for an acknowledgement. */
const WAYS: readonly [number, string, boolean][] = [
  [1, "none", false],
  [2, "zlib", true],
  [4, "zstd", false],
  [4, "none", true],
];

/** Memory of a guest: noise with holes, so that there are pages of both kinds. */
export function writeMemory(file: string, size: number): string {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    if (at % (3 * 65_536) !== 0) crypto.getRandomValues(bytes.subarray(at, at + 40_960));
  }
  Deno.writeFileSync(file, bytes);
  return createHash("sha256").update(bytes).digest("hex");
}

export const memoryFile = (file: string, size: number, share = false): string[] => [
  "-object",
  `memory-backend-file,id=m0,size=${size},mem-path=${file},share=${share ? "on" : "off"}`,
];

export async function setMultifd(
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
      const size = 48 * MiB;
      const digest = writeMemory(`${temp.path}/ram`, size);
      for (const keep of [["--guest-ram", "128M"], ["--out", `${temp.path}/guest.mig`]]) {
        await using target = await startTarget([
          ...tlsFlags(pki.host("vm2"), "server"),
          ...flags(channels, compression),
          ...keep,
        ]);
        await using qemu = await startQemu({
          machine: "pc,memory-backend=m0",
          memory: "48M",
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
      const inspected = await virtcreds([
        "migration",
        "inspect",
        `${temp.path}/guest.mig`,
        "--json",
      ]);
      assertEquals(inspected.code, 0, inspected.stderr);
      const summary = JSON.parse(inspected.stdout);
      assertEquals(summary.validation.kind, "sections");
      assert(summary.pages.normal * 4096 > size / 3);

      // Any QEMU takes the kept stream, multifd or not.
      await using second = await startQemu({
        machine: "pc,memory-backend=m0",
        memory: "48M",
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
