/** `ca renew`: the same credentials for another span of time. */

import { resolve } from "@std/path";
import { parseDuration } from "../base/mod.ts";
import type { IssuedHost, RenewedAuthority, RenewSelection } from "../ca/mod.ts";
import { changeTold, DIR_FLAG, sayStrayFiles, untilText } from "./_ca_flags.ts";
import { issuedJson, sayHostNotes } from "./_ca_issued.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { untilSignal } from "./_console.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { say, sayError } from "./_output.ts";
import {
  authorityPassphrase,
  HOST_PASSPHRASE_FLAG,
  hostPassphrase,
  PASSPHRASE_FLAG,
  ROOT_DIR_FLAG,
  ROOT_PASSPHRASE_FLAG,
  rootOptions,
} from "./_passphrase.ts";
import { type Progress, progressBar } from "./_progress.ts";

/** The command. */
export const caRenew: Command = {
  name: "ca renew",
  summary: "issue the same credentials again, for another span of time",
  usage: "[HOST…|--due|--before SPAN|--all] [--rekey] [--ca] [--dir DIR]",
  examples: [
    ["deno task ca renew", "every host that has used up two thirds of its time, as --due"],
    ["deno task ca renew --before 30d", "every host whose time ends within 30 days"],
    ["deno task ca renew host-a --rekey", "one host, with new keys"],
    ["deno task ca renew --all --ca", "the CA's certificate and every host"],
    ["deno task ca renew --all --ca --root-dir /media/root", "the same, of an issuing CA"],
  ],
  flags: [
    DIR_FLAG,
    { name: "due", help: "hosts that have used up two thirds of their time; without HOST anyway" },
    { name: "before", value: "SPAN", help: "hosts whose time ends within 30d, 12h, 2w" },
    { name: "all", help: "every host" },
    { name: "rekey", help: "new keys too" },
    { name: "ca", help: "a new certificate for the CA's key first; anyway if it has expired" },
    { name: "days", value: "N", help: "days until they expire; as many as before when absent" },
    PASSPHRASE_FLAG,
    ROOT_DIR_FLAG,
    ROOT_PASSPHRASE_FLAG,
    HOST_PASSPHRASE_FLAG,
    { name: "json", help: "one JSON object for each host" },
    ENGINE_FLAG,
  ],
  operands: { name: "HOST", min: 0, max: 100_000 },
  exitOne: "the work failed, or a host could not be renewed",
  notes:
    `Names, roles, subject, profile and kind of key stay as they are; the set that a host had before
is kept in DIR/previous/HOST. Nothing has to be valid for it: a year after everything has expired,
the CA included, it makes a new certificate for the CA's key, and with it the hosts'. A revoked
host is not renewed: issue for it anew.`,
  run: (input) => untilSignal((signal) => run(input, signal)),
};

async function run(input: Input, signal: AbortSignal): Promise<number> {
  const { LONGEST_DAYS, renewHosts } = await import("../ca/mod.ts");
  const dir = input.get("dir")!;
  const selection = selectionOf(input);
  let bar: Progress | undefined;
  const result = await renewHosts({
    dir,
    signal,
    selection,
    rekey: input.on("rekey"),
    authority: input.on("ca"),
    root: await rootOptions(input),
    days: input.number("days", 1, LONGEST_DAYS),
    engine: await engineFor(input),
    hostPassphrase: await hostPassphrase(input),
    passphrase: await authorityPassphrase(input, dir),
    ...changeTold(dir),
    onProgress: (done, total) => (bar ??= progressBar(total)).update(done),
  });
  bar?.[Symbol.dispose]();
  await sayStrayFiles(dir);
  if (result.authority !== undefined) await printAuthority(result.authority, input);
  let failed = 0;
  let renewed = 0;
  for (const outcome of result.outcomes) {
    if (outcome.ok) {
      renewed++;
      await printRenewed(outcome.issued, input);
    } else {
      failed++;
      sayError(outcome.host, outcome.error);
    }
  }
  for (const host of result.revoked) {
    if (selection.kind === "hosts") failed++;
    say(`note: ${host} is revoked and was not renewed`, `deno task ca issue ${host} --dir ${dir}`);
  }
  sayEnd(renewed, failed, result.authority !== undefined);
  return failed > 0 ? 1 : 0;
}

function selectionOf(input: Input): RenewSelection {
  const before = input.get("before");
  const span = before === undefined ? undefined : parseDuration(before);
  if (before !== undefined && span === undefined) {
    throw usage(`--before takes a span such as 30d, not '${before}'`, "units: s, m, h, d, w");
  }
  const given: RenewSelection[] = [
    ...(input.operands.length > 0 ? [{ kind: "hosts", hosts: input.operands } as const] : []),
    ...(input.on("due") ? [{ kind: "due" } as const] : []),
    ...(span === undefined ? [] : [{ kind: "before", span } as const]),
    ...(input.on("all") ? [{ kind: "all" } as const] : []),
  ];
  if (given.length > 1) {
    throw usage(
      "give hosts, --due, --before or --all, one of them",
      "see: deno task ca renew --help",
    );
  }
  return given[0] ?? { kind: "due" };
}

async function printAuthority(made: RenewedAuthority, input: Input): Promise<void> {
  const { daysUntil } = await import("../ca/mod.ts");
  if (input.on("json")) {
    console.log(JSON.stringify({ ca: true, ...made, certificate: resolve(made.certificate) }));
  } else {
    const until = untilText(made.notAfter, daysUntil(new Date(), made.notAfter));
    console.log(`renewed the CA: ${made.certificate}, valid until ${until}`);
    console.log(`  SHA-256    ${made.sha256}`);
  }
  say("note: its key is the same, old and new go together; a host not renewed has the old one");
}

async function printRenewed(issued: IssuedHost, input: Input): Promise<void> {
  const { daysUntil } = await import("../ca/mod.ts");
  const days = daysUntil(new Date(), issued.notAfter);
  if (input.on("json")) console.log(JSON.stringify(issuedJson(issued)));
  else {
    console.log(`renewed ${issued.host}, valid until ${untilText(issued.notAfter, days)}`);
    console.log(`  copy       ${resolve(issued.dir)}/ to the host, for its dir=`);
  }
  if (issued.keysOnHost) {
    say(
      `note: the keys of ${issued.host} are on the host: copy beside them, and delete nothing there`,
    );
  }
  if (issued.cut) sayHostNotes(issued);
}

function sayEnd(renewed: number, failed: number, authority: boolean): void {
  if (renewed === 0 && failed === 0) {
    if (!authority) say("nothing to renew", "see what ends when: deno task creds check DIR");
    return;
  }
  say(`${renewed} renewed${failed === 0 ? "" : `, ${failed} not`}`);
  if (renewed === 0) return;
  say("hint: copy each directory to its host whole; a running QEMU keeps what it has loaded");
  say("hint: for VNC there is QMP display-reload, for all else make the object anew");
}
