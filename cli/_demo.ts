/** What the demo does, step by step, and what it says of each. */

import { BaseError, day } from "../base/mod.ts";
import { initAuthority, issueHost } from "../ca/mod.ts";
import { checkCredentials, ObjectRegistry } from "../creds/mod.ts";
import type { Engine } from "../engine/mod.ts";
import { BUILT_IN_GUEST } from "./_demo_built_in.ts";
import { findQemu, qemuGuest } from "./_demo_qemu.ts";
import { HOSTS, type Stage, type Verified } from "./_demo_stage.ts";

export { stopMachines } from "./_demo_qemu.ts";

/** Runs all of it. */
export async function demo(
  options: {
    readonly engine: Engine;
    readonly dir?: string;
    readonly guest?: "qemu" | "built-in";
  },
): Promise<void> {
  const { engine } = options;
  const qemu = options.guest === "built-in" ? undefined : await findQemu();
  if (options.guest === "qemu" && qemu === undefined) {
    throw new BaseError("FILE_NOT_FOUND", {
      file: "qemu-system-x86_64",
      hint: [
        "apt-get install -y --no-install-recommends qemu-system-x86",
        "or go without: deno task demo --guest built-in",
      ],
    });
  }
  const guest = qemu === undefined ? BUILT_IN_GUEST : qemuGuest(qemu);
  const dir = makeFolder(options.dir);
  console.log(`folder   ${dir}`);
  console.log(`engine   ${engine.version}`);
  console.log(`guest    ${guest.description}`);

  heading("1. a CA, and credentials for two hosts");
  const { stage, accepted } = await prepare(dir, engine);
  using _objects = stage.objects;

  heading("3. a guest's state, from the first host to the second");
  for await (const verified of guest.migrate(stage)) show(verified);

  heading("4. a line of text, through a serial port and back");
  for await (const verified of guest.serial(stage)) show(verified);

  console.log(`\nall as it should be; ${accepted} verdicts and every peer verified`);
  console.log(`look around: ${dir}`);
}

async function prepare(
  dir: string,
  engine: Engine,
): Promise<{ readonly stage: Stage; readonly accepted: number }> {
  const pki = `${dir}/pki`;
  const authority = await initAuthority({ dir: pki, name: "demo CA", engine });
  console.log(`   ${authority.name}, valid until ${day(authority.notAfter)}`);
  const directories = new Map<string, string>();
  for (const host of HOSTS) {
    const issued = await issueHost({
      dir: pki,
      host,
      dns: ["localhost"],
      ip: ["127.0.0.1"],
      engine,
    });
    directories.set(host, issued.dir);
    const names = [...issued.dns, ...issued.ip].join(", ");
    console.log(`   ${host}: ${names}, valid until ${day(issued.notAfter)}`);
  }
  heading("2. what QEMU will say of them");
  let accepted = 0;
  for (const [host, directory] of directories) {
    const verdicts = await checkCredentials(directory, { engine, hostnames: [host] });
    const refused = verdicts.find((verdict) => !verdict.ok);
    if (refused !== undefined) {
      throw new BaseError("UNEXPECTED", { text: `QEMU ${refused.qemu}: ${refused.message}` });
    }
    accepted += verdicts.length;
    const versions = [...new Set(verdicts.map((verdict) => verdict.qemu))].join(", ");
    console.log(`   ${host}: accepted as server and as client by QEMU ${versions}`);
  }
  const objects = new ObjectRegistry({ engine });
  for (const [index, host] of HOSTS.entries()) {
    for (const endpoint of ["client", "server"] as const) {
      const id = `${"ab"[index]}-${endpoint}`;
      await objects.add(
        `tls-creds-x509,id=${id},dir=${
          directories.get(host)!.replaceAll(",", ",,")
        },endpoint=${endpoint}`,
      );
    }
  }
  return {
    accepted,
    stage: { dir, engine, objects, credentials: (host) => directories.get(host)! },
  };
}

function makeFolder(wanted: string | undefined): string {
  if (wanted === undefined) return Deno.makeTempDirSync({ prefix: "virtcreds-demo-" });
  try {
    Deno.mkdirSync(wanted, { mode: 0o700 });
  } catch (error) {
    const exists = error instanceof Deno.errors.AlreadyExists;
    throw new BaseError(exists ? "FILE_EXISTS" : "FILE_NOT_WRITABLE", {
      file: wanted,
      ...(exists ? {} : { cause: "its parent is missing or not writable" }),
      hint: "name a folder that is not there yet: deno task demo --dir FOLDER",
    });
  }
  return Deno.realPathSync(wanted);
}

function heading(text: string): void {
  console.log(`\n${text}`);
}

function show(verified: Verified): void {
  const { what, name, client, version, cipher, bytes, seconds, result } = verified;
  console.log(`   ${what}`);
  console.log(`      server   ${name}`);
  console.log(`      client   ${client}`);
  console.log(`      session  ${version}, ${cipher}`);
  console.log(`      carried  ${bytes} bytes in ${seconds.toFixed(2)} s`);
  console.log(`      result   ${result}`);
}
