/** Asks the real QEMU about directories of credentials: every verdict and message must be equal. */

import { assert, assertEquals } from "@std/assert";
import { checkCredentials, findProfile, type Profile } from "../../creds/mod.ts";
import type { Endpoint } from "../../engine/mod.ts";
import { writeCredentials } from "../support/certificates.ts";
import { MEASURED_CASES, QEMU_CASES } from "../support/credential_cases.ts";
import { enginesHere } from "../support/engines.ts";
import { OBJECT_CASES } from "../support/object_cases.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { randomCredentials } from "../support/random_credentials.ts";
import { run } from "../support/command.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** What qemu-img says of the credentials; empty where it takes them. */
async function askQemu(
  dir: string,
  endpoint: Endpoint,
  more = "",
  before: readonly string[] = [],
): Promise<string> {
  const object = `tls-creds-x509,id=t,dir=${dir},endpoint=${endpoint},verify-peer=on${more}`;
  const image = ["--image-opts", "driver=null-co,size=1M"];
  const { code, stderr } = await run("qemu-img", [
    ...["info", ...before, "--object", object],
    ...image,
  ]);
  const text = stderr.trim().replace(/^qemu-img: /, "");
  assertEquals(code === 0, text === "", stderr);
  return text;
}

async function installedProfile(): Promise<Profile> {
  const { stdout } = await run("qemu-img", ["--version"]);
  return findProfile(/version ([\d.]+)/.exec(stdout)![1]!);
}

programTest(
  "checkCredentials() and qemu-img agree on every known case",
  ["qemu-img"],
  async (t) => {
    const profile = await installedProfile();
    const engines = await enginesHere();
    for (const one of [...QEMU_CASES, ...MEASURED_CASES]) {
      await t.step(`${one.name} (${one.endpoint})`, async () => {
        using dir = temporaryDirectory();
        writeCredentials(dir.path, one.endpoint, await one.files());
        const said = await askQemu(dir.path, one.endpoint);
        for (const engine of engines) {
          const options = { engine, endpoint: one.endpoint, profiles: [profile] };
          const [verdict] = await checkCredentials(dir.path, options);
          assertEquals(verdict!.message, said, engine.name);
        }
      });
    }
  },
);

/** What is made of a good key, and the passphrase that is given with it. */
const LOCKED: readonly (readonly [what: string, args: readonly string[], password?: string])[] = [
  ["encrypted, the right passphrase", ["pkey", "-aes256", "-passout", "pass:sesame"], "sesame"],
  ["encrypted, a wrong passphrase", ["pkey", "-aes256", "-passout", "pass:sesame"], "simsim"],
  ["encrypted, a line end behind it", ["pkey", "-aes256", "-passout", "pass:sesame"], "sesame\n"],
  ["encrypted, no passphrase", ["pkey", "-aes256", "-passout", "pass:sesame"]],
  [
    "encrypted in the traditional form, the right passphrase",
    ["ec", "-aes256", "-passout", "pass:sesame"],
    "sesame",
  ],
  ["plain, a passphrase that is not needed", ["pkey"], "sesame"],
  ["no key, a passphrase", ["pkey", "-pubout"], "sesame"],
];

programTest(
  "checkCredentials() and qemu-img agree on keys under a passphrase",
  ["qemu-img", "openssl"],
  async (t) => {
    const profiles = [await installedProfile()];
    const engines = await enginesHere();
    for (const [what, args, password] of LOCKED) {
      await t.step(what, async () => {
        using temp = temporaryDirectory();
        const dir = (await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] })).host("a");
        const key = `${dir}/server-key.pem`;
        const made = await run("openssl", [...args, "-in", key, "-out", `${temp.path}/key`]);
        assertEquals(made.code, 0, made.stderr);
        Deno.copyFileSync(`${temp.path}/key`, key);
        Deno.writeTextFileSync(`${temp.path}/pass`, password ?? "");
        const secret = ["--object", `secret,id=s,file=${temp.path}/pass`];
        const more = password === undefined ? "" : ",passwordid=s";
        const said = await askQemu(dir, "server", more, secret);
        for (const engine of engines) {
          const [verdict] = await checkCredentials(dir, {
            ...{ engine, endpoint: "server", profiles },
            ...(password === undefined ? {} : { password }),
          });
          assertEquals(verdict!.message, said, engine.name);
        }
      });
    }
  },
);

const SEED = 20_250_131;

programTest(
  "checkCredentials() and qemu-img agree on directories made by chance",
  ["qemu-img", "certtool"],
  async () => {
    const profiles = [await installedProfile()];
    const engines = await enginesHere();
    const { stdout: dhParams } = await run("certtool", ["--get-dh-params", "--sec-param=medium"]);
    const count = soakCount(2000, 50);
    let refused = 0;
    for (let i = 0; i < count; i++) {
      const { endpoint, sanityCheck, verifyPeer, files } = await randomCredentials(SEED + i);
      using dir = temporaryDirectory();
      writeCredentials(dir.path, endpoint, files);
      // With parameters at hand QEMU needs not compute some, which takes it a second.
      Deno.writeTextFileSync(`${dir.path}/dh-params.pem`, dhParams);
      const onOff = (flag: boolean) => flag ? "on" : "off";
      const more = `,sanity-check=${onOff(sanityCheck)},verify-peer=${onOff(verifyPeer)}`;
      const said = await askQemu(dir.path, endpoint, more);
      for (const engine of engines) {
        const options = { engine, endpoint, profiles, sanityCheck, verifyPeer };
        const [verdict] = await checkCredentials(dir.path, options);
        assertEquals(
          verdict!.message,
          said,
          `seed ${SEED + i}, ${engine.name}, ${endpoint}${more}`,
        );
      }
      if (said !== "") refused++;
    }
    soakRow("verdicts against qemu-img", count, `${refused} refused, no difference`);
    assert(refused > count / 5 && refused < count * 4 / 5, `${refused} of ${count} were refused`);
  },
);

programTest("ObjectRegistry.add() and qemu-img agree on option texts", ["qemu-img"], async (t) => {
  using dir = temporaryDirectory();
  for (const endpoint of ["server", "client"] as const) {
    const good = QEMU_CASES.find(({ name }) => name === `good${endpoint}1`)!;
    const { ca, ...own } = await good.files();
    writeCredentials(dir.path, endpoint, endpoint === "server" ? { ca: ca!, ...own } : own);
  }
  for (const [objects, message] of OBJECT_CASES) {
    await t.step(objects.join(" "), async () => {
      const texts = objects.map((text) => text.replaceAll("%D", dir.path));
      const options = texts.flatMap((text) => ["--object", text]);
      const image = ["--image-opts", "driver=null-co,size=1M"];
      const { stderr } = await run("qemu-img", ["info", ...options, ...image], {
        env: { LC_ALL: "C.UTF-8" },
      });
      assertEquals(stderr.split("\n")[0]!.replace(/^qemu-img: /, ""), message);
    });
  }
});
