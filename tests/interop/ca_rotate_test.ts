/** Real servers and clients with files of different steps of a roll-over, and CAs under a root. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  finishRotation,
  initAuthority,
  issueHost,
  issueRotation,
  startRotation,
} from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { type Snapshot, takeSnapshots } from "../ca/fleet_snapshots.ts";
import { run, virtcreds } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { connectNbd } from "./ca_nbd.ts";

const HOSTS = ["a", "b"];

async function must(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, { env });
  assertEquals(code, 0, `${program} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

for (const kind of ["of its own", "of a root"] as const) {
  programTest(`QEMU's NBD server and client meet in every step of the roll-over of a CA ${kind}`, [
    "qemu-nbd",
    "qemu-img",
    "certtool",
  ], async () => {
    using temp = temporaryDirectory();
    const engine = await chooseEngine();
    const dir = `${temp.path}/pki`;
    const root = kind === "of a root" ? { dir: `${temp.path}/root` } : undefined;
    await initAuthority({ dir, engine, root });
    for (const host of HOSTS) await issueHost({ dir, engine, host });
    // Without it each server computes a group of its own, which takes a while.
    const dh = await must("certtool", ["--get-dh-params", "--sec-param=medium"]);
    const keep = (moment: string): Snapshot[] => {
      const taken = takeSnapshots(dir, HOSTS, moment, temp.path);
      for (const one of taken) Deno.writeTextFileSync(`${one.dir}/dh-params.pem`, dh);
      return taken;
    };
    const before = keep("before");
    await startRotation({ dir, engine, root });
    const started = keep("started");
    await issueRotation({ dir, engine });
    const issued = keep("issued");
    await finishRotation({ dir, engine });
    const finished = keep("finished");
    for (const steps of [[before, started, issued], [issued, finished]]) {
      for (const [server] of steps) {
        for (const [, client] of steps) {
          const met = await connectNbd(server!.dir, client!.dir, server!.host);
          const where = `${client!.moment} → ${server!.moment}`;
          assert(met.ok, `${where}: ${met.server}${met.client}`);
        }
      }
    }
    if (kind === "of a root") return;
    const late = await connectNbd(finished[0]!.dir, before[1]!.dir, "a");
    assertEquals(late.ok, false, "the old CA is dropped");
  });
}

programTest("a roll-over goes from a key in a file to one in a token and back", [
  "softhsm2-util",
  "openssl",
  "qemu-img",
], async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  const env = { SOFTHSM2_CONF: `${cwd}/softhsm2.conf` };
  Deno.mkdirSync(`${cwd}/tokens`);
  Deno.writeTextFileSync(env.SOFTHSM2_CONF, `directories.tokendir = ${cwd}/tokens\n`);
  Deno.writeTextFileSync(`${cwd}/pin`, "1234");
  const slot = ["--free", "--label", "virt", "--pin", "1234", "--so-pin", "5678"];
  await must("softhsm2-util", ["--init-token", ...slot], env);
  const curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
  await must("openssl", ["genpkey", ...curve, "-out", `${cwd}/key`]);
  const named = ["--token", "virt", "--label", "ca-key", "--id", "01", "--pin", "1234"];
  await must("softhsm2-util", ["--import", `${cwd}/key`, ...named], env);
  Deno.removeSync(`${cwd}/key`);
  const ca = async (...args: readonly string[]) => {
    const done = await virtcreds(["ca", ...args, "--engine", "gnutls"], { cwd, env });
    return { ...done, files: filesOf(`${cwd}/pki`) };
  };
  const good = async (...args: readonly string[]) => {
    const done = await ca(...args);
    assertEquals(done.code, 0, `${args.join(" ")}: ${done.stderr}`);
    return done;
  };
  await good("init");
  await good("issue", "host-a");
  const uri = "pkcs11:token=virt;object=ca-key;type=private";
  await good("rotate", "start", "--key", uri, "--new-passphrase-file", "pin");
  const issued = await good("rotate", "issue", "--new-passphrase-file", "pin");
  assertEquals(issued.files.filter((name) => name.startsWith("ca-key")), ["ca-key.uri"]);
  await good("rotate", "finish", "--passphrase-file", "pin");
  const unnamed = await ca("rotate", "start", "--passphrase-file", "pin");
  assertEquals(unnamed.code, 1);
  assertMatch(
    unnamed.stderr,
    /the CA's key is in a token, and no other key is named\nhint: .*--key/,
  );
  const pin = ["--passphrase-file", "pin"];
  await good("rotate", "start", "--key-type", "ec-p256", ...pin);
  const back = await good("rotate", "issue", ...pin);
  assertEquals(back.files.filter((name) => name.startsWith("ca-key")), ["ca-key.pem"]);
  await good("rotate", "finish");
  const key = Deno.readTextFileSync(`${cwd}/pki/ca-key.pem`);
  assertStringIncludes(key, "-----BEGIN PRIVATE KEY-----");
  for (const endpoint of ["server", "client"]) {
    const creds = `tls-creds-x509,id=t,dir=${cwd}/pki/hosts/host-a,endpoint=${endpoint}`;
    await must("qemu-img", ["info", "--object", creds, "--image-opts", "driver=null-co,size=1M"]);
  }
});

function filesOf(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map((entry) => entry.name).sort();
}
