/** `ca export`: a host's credentials as another program wants them to lie. */

import { resolve } from "@std/path";
import { createFile, shellWord } from "../base/mod.ts";
import type { DhGroup, ExportEntry, ExportPlan, ExportWritten } from "../ca/mod.ts";
import { DIR_FLAG, untilText } from "./_ca_flags.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { LAYOUT_CHOICES } from "./_layout_flag.ts";
import { line, say } from "./_output.ts";
import { JUDGED_PASSPHRASE_FLAG, judgedPassphrase } from "./_passphrase.ts";
import { tableText } from "./_table.ts";

/** The command. */
export const caExport: Command = {
  name: "ca export",
  summary: "lay a host's credentials out as libvirt, SPICE, VNC and others want them",
  usage: "HOST --layout NAME [--out DIR|--tar FILE] [--owner NAME] [--group NAME] [--mode MODE]",
  examples: [
    ["deno task ca export host-a --layout libvirt", "what goes where, and nothing else"],
    [
      "deno task ca export host-a --layout libvirt --tar - | ssh root@host-a tar -C / -x",
      "straight to the host",
    ],
    [
      "deno task ca export host-a --layout qemu --group libvirt-qemu --tar - | ssh root@host-a tar -C / -x",
      "for QEMU as Debian's libvirt runs it",
    ],
    ["deno task ca export host-a --layout vnc --out /etc/pki/libvirt-vnc", "on the host itself"],
    [
      "deno task ca export host-a --layout qemu --dh-params ffdhe2048 --out qemu",
      "with the group that QEMU before 10.2 would compute at every start",
    ],
  ],
  flags: [
    DIR_FLAG,
    {
      name: "layout",
      value: "NAME",
      choices: LAYOUT_CHOICES,
      help: "whose names, modes and owners",
    },
    { name: "out", value: "DIR", help: "write the files here, in the place of the layout's own" },
    { name: "tar", value: "FILE", help: "pack them into an archive; - is standard output" },
    { name: "place", value: "DIR", help: "with --tar: the directory on the host, if another one" },
    { name: "owner", value: "NAME", help: "owner of all of it, by name or number" },
    { name: "group", value: "NAME", help: "group of all of it, by name or number" },
    { name: "mode", value: "MODE", help: "permissions of the private keys, such as 0600" },
    {
      name: "dh-params",
      value: "GROUP",
      choices: ["ffdhe2048", "ffdhe3072"],
      help: "add dh-params.pem with this group of RFC 7919",
    },
    { name: "json", help: "one JSON object for each file" },
    JUDGED_PASSPHRASE_FLAG,
    ENGINE_FLAG,
  ],
  operands: { name: "HOST", min: 1, max: 1 },
  notes:
    `Without --out and --tar nothing is written: the table says what is to be where. An archive has
the paths of the host, names and numbers of owners, and is the same for the same set; as root,
tar takes the name where the host knows it, else the number. QEMU's group is qemu (Fedora, RHEL,
SUSE), else number 64055, which is libvirt-qemu on Debian and Ubuntu; --group names another.
--out replaces each file in one step, and shows the modes and owners that all has then. Without
being root it can set no owners, and says so.
A server of QEMU before 10.2 that finds no dh-params.pem looks for a prime of its own at every
start; one from 10.2 on knows the groups itself, and warns about the file.`,
  run,
};

async function run(input: Input): Promise<number> {
  const { checkExport, planExport } = await import("../ca/mod.ts");
  const [out, tar] = [input.get("out"), input.get("tar")];
  const layout = input.get("layout");
  checkFlags(input, layout, out, tar);
  const plan = planExport({
    dir: input.get("dir")!,
    host: input.operands[0]!,
    layout: layout!,
    place: input.get("place"),
    owner: input.get("owner"),
    group: input.get("group"),
    keyMode: modeOf(input),
    dhParams: input.get("dh-params") as DhGroup | undefined,
  });
  const passphrase = await judgedPassphrase(input);
  await checkExport(plan, { engine: await engineFor(input), passphrase });
  if (tar !== undefined) await pack(plan, tar);
  else if (out !== undefined) await write(plan, out, input);
  else show(plan, plan.place, input);
  sayNotes(plan, passphrase !== undefined);
  return 0;
}

function checkFlags(input: Input, layout?: string, out?: string, tar?: string): void {
  const help = "see: deno task ca export --help";
  if (layout === undefined) throw usage("missing --layout", help);
  if (out !== undefined && tar !== undefined) throw usage("give --out or --tar, not both", help);
  if (input.get("place") !== undefined && tar === undefined) {
    throw usage("--place is for --tar", "--out DIR is the place of what is written here");
  }
  if (tar !== undefined && input.on("json")) throw usage("--json is not for --tar", help);
  if (tar === "-" && Deno.stdout.isTerminal()) {
    throw usage(
      "an archive with private keys is nothing for a terminal",
      "pipe it on: … --tar - | ssh root@HOST tar -C / -x",
    );
  }
}

function modeOf(input: Input): number | undefined {
  const text = input.get("mode");
  if (text === undefined) return undefined;
  const mode = /^0?[0-7]{3}$/.test(text) ? parseInt(text, 8) : NaN;
  if ((mode & 0o400) === 0 || Number.isNaN(mode)) {
    throw usage(
      `--mode takes permissions that let the owner read, not '${text}'`,
      "write it in octal digits: --mode 0640",
    );
  }
  return mode;
}

async function pack(plan: ExportPlan, tar: string): Promise<void> {
  const { packExport } = await import("../ca/mod.ts");
  const { bytes, root } = packExport(plan);
  if (tar !== "-") {
    createFile(tar, bytes, 0o600);
    console.log(`packed ${plan.host} for ${plan.layout.reader}: ${tar}`);
    say(`hint: it has private keys; unpack it on the host: tar -C ${root} -xf ${shellWord(tar)}`);
    return;
  }
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

async function write(plan: ExportPlan, out: string, input: Input): Promise<void> {
  const { writeExport } = await import("../ca/mod.ts");
  const asked = (["owner", "group"] as const).filter((name) => input.get(name) !== undefined);
  const written = writeExport(plan, out, asked.map((name) => `--${name}` as const));
  show({ ...plan, entries: written.entries }, out.replace(/(.)\/+$/, "$1"), input);
  sayWritten(plan, written, out);
}

/** What is where; the same for what is written and what would be. */
function show(plan: ExportPlan, place: string, input: Input): void {
  const at = (path: string) => path === "" ? place : `${place === "/" ? "" : place}/${path}`;
  const whose = ({ owner, group }: ExportEntry) =>
    owner === undefined && group === undefined
      ? "user"
      : `${owner?.name || (owner?.id ?? "user")}:${group?.name || (group?.id ?? "user")}`;
  if (input.on("json")) {
    for (const entry of plan.entries) {
      const { source, mode } = entry;
      console.log(JSON.stringify({
        path: at(entry.path),
        type: entry.data === undefined ? "directory" : "file",
        mode: octal(mode),
        owner: entry.owner ?? null,
        group: entry.group ?? null,
        source: source === undefined ? null : resolve(source),
      }));
    }
    return;
  }
  const rows = plan.entries.map((entry) => [
    octal(entry.mode),
    whose(entry),
    line(entry.data === undefined ? `${at(entry.path)}/` : at(entry.path)),
  ]);
  console.log(tableText([["MODE", "OWNER", "PATH"], ...rows]));
}

const octal = (mode: number): string => mode.toString(8).padStart(4, "0");

function sayWritten(plan: ExportPlan, written: ExportWritten, out: string): void {
  if (written.unowned === "not root") {
    say(
      "note: only root can give files away: all of it is yours",
      "let the host's root unpack it: --tar - | ssh root@HOST tar -C / -x",
    );
  }
  if (written.unowned === "unknown") {
    say(
      `note: this machine has no account of the name, what was to be its stays with root`,
      "name the group that QEMU runs with: --group NAME",
    );
  }
  for (const { path, has, wants } of written.modes) {
    say(
      `note: ${path} was there and stays ${octal(has)}; the layout wants ${octal(wants)}`,
      `chmod ${octal(wants)} ${shellWord(path)}`,
    );
  }
  for (const file of written.stale) {
    say(`warning: ${file} is from before and would be read too`, `rm ${shellWord(file)}`);
  }
  say(
    `hint: see what its reader says: deno task creds check --layout ${plan.layout.name} ${
      shellWord(out)
    }`,
  );
}

/** A certificate whose key the authority never had. */
function isKeyOnHost(file: string, missing: readonly string[]): boolean {
  const certificate = file.replace("-key.pem", "-cert.pem");
  return certificate !== file && !missing.includes(certificate);
}

function sayNotes(plan: ExportPlan, hasPassphrase: boolean): void {
  const { host, layout, missing, encrypted, expired, notAfter } = plan;
  const onHost = missing.filter((file) => isKeyOnHost(file, missing));
  const others = missing.filter((file) => !onHost.includes(file));
  if (others.length > 0) {
    say(`note: ${host} has no ${others.join(", ")}: what needs them will not find them`);
  }
  for (const file of onHost) {
    const path = layout.files.find((one) => one.file === file)?.path;
    say(`note: ${file} is on the host alone, where it has to be ${plan.place}/${path}`);
  }
  if (encrypted) {
    say(
      `note: its keys are encrypted: ${
        plan.layout.name === "spice" ? "x509-key-password=" : "passwordid="
      } must name the passphrase`,
    );
  }
  if (encrypted && !hasPassphrase) {
    say(
      "warning: whether its keys fit its certificates cannot be told without their passphrase",
      `give it: --${JUDGED_PASSPHRASE_FLAG.name} FILE`,
    );
  }
  if (expired) {
    const [date] = untilText(notAfter, 0).split(",");
    say(`warning: it expired on ${date}`, `renew it first: deno task ca renew ${host}`);
  }
}
