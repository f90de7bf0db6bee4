/** `creds check`: QEMU's verdict on directories of credentials. */

import type { Finding, KeyRegister, Profile, Verdict } from "../creds/mod.ts";
import type { Endpoint } from "../engine/mod.ts";
import { asInvoked, parseDuration, printable } from "../base/mod.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { dateOf } from "./_creds_date.ts";
import { renderGithub } from "./_creds_github.ts";
import { renderJson } from "./_creds_json.ts";
import { renderJunit } from "./_creds_junit.ts";
import { PLACE_FLAGS, placesOf } from "./_creds_places.ts";
import type { Renderer } from "./_creds_render.ts";
import { renderSarif } from "./_creds_sarif.ts";
import { renderText } from "./_creds_text.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { JUDGED_PASSPHRASE_FLAG, judgedPassphrase, mendWithPassphrase } from "./_passphrase.ts";

const RENDERERS: Readonly<Record<string, (now: Date) => Renderer>> = {
  text: renderText,
  json: renderJson,
  junit: renderJunit,
  sarif: renderSarif,
  github: renderGithub,
};

/** The command. */
export const credsCheck: Command = {
  name: "creds check",
  summary: "say what each line of QEMU will make of directories of TLS credentials",
  usage:
    "DIR…|--layout NAME|--system [--endpoint server|client] [--qemu VERSION|all] [--hostname NAME]…",
  examples: [
    ["deno task creds check pki/hosts/*", "every host, every role, every line of QEMU"],
    ["deno task creds check /etc/pki/qemu --qemu 7.2.22 --hostname vm1.example", "one service"],
    ["deno task creds check --system --expires-in 30d", "all that libvirt and QEMU read here"],
    ["deno task creds check --layout libvirt /mnt/image", "libvirt's own files, in an image"],
    ["deno task creds check pki/hosts/* --at 2027-06-01", "what will be said that day"],
    ["deno task creds check pki/hosts/* --strict", "and what RFC 5280 forbids"],
    [
      "deno task creds check pki/hosts/* --format json --expires-in 30d --fail-on warning",
      "a nightly job that fails a month before anything expires",
    ],
  ],
  flags: [
    {
      name: "endpoint",
      value: "ROLE",
      choices: ["server", "client"],
      help: "the role; every one whose files exist when absent",
    },
    {
      name: "verify-peer",
      value: "on|off",
      choices: ["on", "off"],
      default: "on",
      help: "as in the object: whether peers are verified",
    },
    {
      name: "qemu",
      value: "VERSION",
      repeat: true,
      help: "version to judge for, such as 7.2.22, or all when absent",
    },
    {
      name: "libvirt",
      value: "VERSION",
      repeat: true,
      help: "version of libvirt to judge for, such as 11.3.0, or all; instead of QEMU or beside it",
    },
    {
      name: "hostname",
      value: "NAME",
      repeat: true,
      help: "name or address that a server's certificate must be for",
    },
    { name: "priority", value: "STRING", help: "priority= of the object, as GnuTLS will read it" },
    { name: "expires-in", value: "TIME", help: "warn of what expires within it, such as 30d" },
    {
      name: "strict",
      help: "also find what RFC 5280 and practice forbid, and where lines of QEMU differ",
    },
    { name: "at", value: "DATE", help: "judge as on a day to come, such as 2027-01-31" },
    {
      name: "format",
      value: "FORMAT",
      choices: Object.keys(RENDERERS),
      default: "text",
      help: "how it is shown",
    },
    { name: "json", help: "the same as --format json" },
    {
      name: "fail-on",
      value: "SEVERITY",
      choices: ["error", "warning"],
      default: "error",
      help: "the least finding that makes the exit code 1",
    },
    ...PLACE_FLAGS,
    JUDGED_PASSPHRASE_FLAG,
    ENGINE_FLAG,
  ],
  operands: { name: "DIR", min: 0, max: 100_000 },
  exitOne: "QEMU refuses one of them, or a finding is severe enough",
  notes:
    `Each line of QEMU that judges differently is shown by its versions. --format json gives one
object per line: {dir, endpoint, qemu, ok, message, findings: [{code, severity, file, message,
cause, mend}]}; message is QEMU's own text, empty where it accepts. With --libvirt the verdict is
that of libvirt's daemons and clients on files of their own, in their words. --strict looks at all
directories given for keys that hosts share; its findings have a reference, such as
RFC 5280 4.2.1.3, and begin with who accepts what that forbids.`,
  run,
};

async function run(input: Input): Promise<number> {
  const expiresIn = durationOf(input);
  const at = dateOf(input);
  const places = await placesOf(input);
  const profiles = await profilesOf(input.all("qemu"), input.all("libvirt"));
  const priority = input.get("priority");
  const password = await judgedPassphrase(input);
  const endpoint = input.get("endpoint") as Endpoint | undefined;
  const keys: KeyRegister = new Map();
  const options = {
    engine: await engineFor(input),
    verifyPeer: input.get("verify-peer") === "on",
    hostnames: hostnamesOf(input),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(priority === undefined ? {} : { priority }),
    ...(password === undefined ? {} : { password }),
    ...(expiresIn === undefined ? {} : { expiresIn }),
    ...(profiles === undefined ? {} : { profiles }),
    ...(at === undefined ? {} : { clock: () => at }),
    ...(input.on("strict") ? { strict: true } : {}),
    // What a system reads is all one host's.
    ...(input.on("strict") && !input.on("system") ? { keys } : {}),
  };
  const format = input.on("json") ? "json" : input.get("format")!;
  const render = RENDERERS[format]!(at ?? new Date());
  const fatal = input.get("fail-on") === "warning" ? ["error", "warning"] : ["error"];
  let failed = false;
  for (const place of places) {
    const verdicts = (await place.check(options)).map((one) =>
      asTyped(one, password !== undefined)
    );
    failed ||= verdicts.some(({ ok, findings }) => !ok || findings.some(isAmong(fatal)));
    await render.directory(place, verdicts);
  }
  render.end?.();
  return failed || places.length === 0 ? 1 : 0;
}

/** Mends with commands as the user can type them, in every format. */
function asTyped(verdict: Verdict, hasPassphrase: boolean): Verdict {
  const findings = verdict.findings.map((one) => ({
    ...one,
    mend: asInvoked(mendWithPassphrase(one.code, one.mend, hasPassphrase)),
  }));
  return { ...verdict, findings };
}

/** QEMU compares whatever it is given, but these are no names: a path or an URI was pasted. */
function hostnamesOf(input: Input): readonly string[] {
  const names = input.all("hostname");
  if (names.length > 0 && input.get("endpoint") === "client") {
    throw usage(
      "--hostname is for a server's certificate, and --endpoint client leaves servers out",
      "leave one of them out",
    );
  }
  const odd = names.find((name) => /[\s/\p{Cc}]/u.test(name));
  if (odd !== undefined) {
    throw usage(
      `--hostname takes a name or an address, not '${printable(odd)}'`,
      "for example --hostname vm1.example, or --hostname 2001:db8::1",
    );
  }
  return names;
}

function isAmong(severities: readonly string[]): (finding: Finding) => boolean {
  return ({ severity }) => severities.includes(severity);
}

async function profilesOf(
  qemu: readonly string[],
  libvirt: readonly string[],
): Promise<Profile[] | undefined> {
  if (libvirt.length === 0 && (qemu.length === 0 || qemu.includes("all"))) return undefined;
  const room = await import("../creds/mod.ts");
  return [
    ...(qemu.includes("all") ? room.PROFILES : qemu.map(room.findProfile)),
    ...(libvirt.includes("all") ? room.LIBVIRT_PROFILES : libvirt.map(room.findLibvirtProfile)),
  ];
}

function durationOf(input: Input): number | undefined {
  const text = input.get("expires-in");
  if (text === undefined) return undefined;
  const duration = parseDuration(text);
  if (duration === undefined) {
    throw usage(`--expires-in takes a time, not '${text}'`, "for example 30d, 12h or 2w");
  }
  return duration;
}
