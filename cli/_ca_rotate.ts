/** `ca rotate`: from one CA to the next, while every pair of hosts goes on. */

import { resolve } from "@std/path";
import { asInvoked } from "../base/mod.ts";
import type {
  RotateIssueOptions,
  RotateOptions,
  RotationIssue,
  RotationStatus,
} from "../ca/mod.ts";
import { KEY_TYPES, type KeyType } from "../engine/mod.ts";
import { changeTold, DIR_FLAG, sayStrayFiles, untilText } from "./_ca_flags.ts";
import { issuedJson, sayHostNotes } from "./_ca_issued.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { line, say, sayError } from "./_output.ts";
import {
  authorityPassphrase,
  HOST_PASSPHRASE_FLAG,
  hostPassphrase,
  NEW_PASSPHRASE_FLAG,
  nextPassphrase,
  PASSPHRASE_FLAG,
  ROOT_DIR_FLAG,
  ROOT_PASSPHRASE_FLAG,
  rootOptions,
} from "./_passphrase.ts";
import { type Progress, progressBar } from "./_progress.ts";
import { tableText } from "./_table.ts";

const STEPS = ["start", "issue", "finish", "abort", "status"] as const;
type Step = typeof STEPS[number];

/** The command. */
export const caRotate: Command = {
  name: "ca rotate",
  summary: "roll over to a new CA key, step by step, while all hosts go on",
  usage: "start|issue|finish|status|abort [HOST…] [--dir DIR]",
  examples: [
    ["deno task ca rotate start", "make the next CA and have hosts trust both"],
    ["deno task ca rotate issue", "sign with the next CA, and issue for every host under it"],
    ["deno task ca rotate issue vm1.example", "the same for one host first"],
    ["deno task ca rotate finish", "drop the old CA, once no host needs it"],
    ["deno task ca rotate status --json", "how far it is; no key is needed"],
    ["deno task ca rotate abort", "one step back"],
  ],
  flags: [
    DIR_FLAG,
    { name: "name", value: "CN", help: "start: another common name than the old CA has" },
    {
      name: "key-type",
      value: "TYPE",
      choices: KEY_TYPES,
      help: "start: kind of the next CA's key; the old one's when absent",
    },
    { name: "days", value: "N", help: "start: days until the next CA expires; as the old one" },
    { name: "key", value: "URI", help: "start: pkcs11: URI of the next CA's key in a token" },
    ROOT_DIR_FLAG,
    ROOT_PASSPHRASE_FLAG,
    PASSPHRASE_FLAG,
    NEW_PASSPHRASE_FLAG,
    HOST_PASSPHRASE_FLAG,
    { name: "json", help: "JSON: an object, for issue and abort one for each host first" },
    ENGINE_FLAG,
  ],
  operands: { name: "start, issue, finish, status or abort", min: 1, max: 100_000 },
  exitOne: "the work failed, or a host still needs the old CA",
  notes:
    `After each step copy every directory of DIR/hosts to its host whole, and make the TLS objects of
running QEMUs anew; the hosts may be done in any order and at any time until finish: in between,
the old CA vouches for the next one (in server-cert.pem and client-cert.pem, behind the host's
own), so that hosts with the files of any step let each other in. Before finish every host must
have the files of issue and its QEMUs have loaded them: after it, old files are of no use.
Every step can be killed and run again: where it stands, the files say. abort goes back one step
at a time: from issue to start (the old CA signs again), from start to nothing.
The next CA has the old one's name with a further OU=G2, OU=G3, …; hosts keep their subjects and
keys. If the old CA has expired already, start and issue one after the other are the way out.`,
  run,
};

async function run(input: Input): Promise<number> {
  const [step, ...hosts] = input.operands as [Step, ...string[]];
  const help = "see: deno task ca rotate --help";
  if (!STEPS.includes(step)) throw usage(`unknown step '${step}'`, `one of: ${STEPS.join(", ")}`);
  if (hosts.length > 0 && step !== "issue") throw usage(`${step} is for all hosts`, help);
  for (const name of START_ONLY) {
    if (step !== "start" && input.get(name) !== undefined) {
      throw usage(`--${name} is for start`, help);
    }
  }
  if (step === "status") return await status(input);
  const dir = input.get("dir")!;
  await sayStrayFiles(dir);
  const options: RotateOptions = {
    dir,
    engine: await engineFor(input),
    passphrase: await authorityPassphrase(input, dir),
    newPassphrase: await nextPassphrase(input),
    ...changeTold(dir),
  };
  switch (step) {
    case "start":
      return await start(input, options);
    case "issue":
      return await issue(input, { ...options, hosts }, "issue");
    case "finish":
      return await finish(input, options);
    case "abort":
      return await abort(input, options);
  }
}

const START_ONLY = ["name", "key-type", "days", "key", ROOT_DIR_FLAG.name];

async function start(input: Input, options: RotateOptions): Promise<number> {
  const { daysUntil, LONGEST_DAYS, startRotation } = await import("../ca/mod.ts");
  const made = await startRotation({
    ...options,
    name: input.get("name"),
    keyType: input.get("key-type") as KeyType | undefined,
    days: input.number("days", 1, LONGEST_DAYS),
    key: input.get("key"),
    root: await rootOptions(input),
  });
  const now = new Date();
  if (input.on("json")) console.log(JSON.stringify(made));
  else {
    console.log(
      line(`${made.already ? "started before" : "started"}: the next CA is ${made.name}`),
    );
    console.log(`  valid until  ${untilText(made.notAfter, daysUntil(now, made.notAfter))}`);
    console.log(`  SHA-256      ${made.sha256}`);
    if (made.oldNotAfter > now) {
      console.log(
        line(
          `  copy         ca-cert.pem and ca-crl.pem of each ${hostsDir(input)}/HOST to its host`,
        ),
      );
    }
  }
  for (const host of made.damaged) say(`warning: ${host} cannot be read, and was left as it is`);
  sayEnd(made.oldNotAfter, now);
  say(`hint: ${made.oldNotAfter > now ? "copy, then" : "then"}: ${command(input, "issue")}`);
  return 0;
}

/** What the hosts hold until finish no longer loads or verifies once the old CA is over. */
function sayEnd(oldNotAfter: Date, now: Date): void {
  const day = oldNotAfter.toISOString().slice(0, 10);
  if (oldNotAfter <= now) {
    say(
      `note: the old CA expired on ${day}: nobody takes what it issued any more`,
    );
  } else if (oldNotAfter.getTime() - now.getTime() < NEARLY_OVER) {
    say(`warning: the old CA ends on ${day}: finish, and copy that to every host, before then`);
  }
}

/** Ms before the old CA's end from which on it is warned of: 60 days. */
const NEARLY_OVER = 60 * 86_400_000;

async function issue(
  input: Input,
  options: RotateIssueOptions,
  step: "issue" | "abort",
): Promise<number> {
  const { backRotation, issueRotation } = await import("../ca/mod.ts");
  let bar: Progress | undefined;
  const work = step === "issue" ? issueRotation : backRotation;
  const result = await work({
    ...options,
    hostPassphrase: await hostPassphrase(input),
    onProgress: (done, total) => (bar ??= progressBar(total)).update(done),
  });
  bar?.[Symbol.dispose]();
  return await printIssue(input, result, step);
}

async function printIssue(
  input: Input,
  { switched, outcomes, revoked, left, oldNotAfter }: RotationIssue,
  step: "issue" | "abort",
): Promise<number> {
  const { daysUntil } = await import("../ca/mod.ts");
  const which = step === "issue" ? "next" : "old";
  if (switched && !input.on("json")) console.log(`the ${which} CA signs from now on`);
  let failed = 0;
  for (const outcome of outcomes) {
    if (!outcome.ok) {
      failed++;
      sayError(outcome.host, outcome.error);
      continue;
    }
    const { issued } = outcome;
    const days = daysUntil(new Date(), issued.notAfter);
    if (input.on("json")) console.log(JSON.stringify(issuedJson(issued)));
    else {
      console.log(
        line(`issued for ${issued.host}, valid until ${untilText(issued.notAfter, days)}`),
      );
      console.log(line(`  copy       ${resolve(issued.dir)}/ to the host, for its dir=`));
    }
    if (issued.cut) sayHostNotes(issued);
  }
  if (input.on("json")) console.log(JSON.stringify({ switched, revoked, left, oldNotAfter }));
  for (const host of revoked) say(`note: ${host} is revoked and was left behind`);
  const done = outcomes.length - failed;
  say(`${done} issued${failed === 0 ? "" : `, ${failed} not`}`);
  if (left.length > 0) {
    say(`${left.length} still hold certificates of the other CA: ${some(left)}`);
    say(`hint: ${command(input, step)}`);
  } else if (step === "issue") {
    sayEnd(oldNotAfter, new Date());
    say(
      `hint: copy each directory to its host whole; a running QEMU keeps what it has loaded`,
      `when every host has it and uses it: ${command(input, "finish")}`,
    );
  } else {
    say(
      `hint: copy each directory to its host whole`,
      `then drop the next CA: ${command(input, "abort")}`,
    );
  }
  return failed > 0 ? 1 : 0;
}

async function finish(input: Input, options: RotateOptions): Promise<number> {
  const { finishRotation } = await import("../ca/mod.ts");
  const end = await finishRotation(options);
  if (input.on("json")) console.log(JSON.stringify(end));
  else if (end.done) {
    console.log(line(`finished: ${end.name} is the only CA; the old key is removed`));
    console.log(line(`  copy         each ${hostsDir(input)}/HOST to its host, whole`));
  }
  const { dropped } = end;
  if (dropped !== undefined && dropped.issuer !== dropped.name) {
    say(
      `note: ${dropped.name} still leads to ${dropped.issuer}, and what it issued is still taken`,
      `to end that revoke it: deno task ca revoke ${dropped.serial} --dir ROOT, then ca crl --root-dir ROOT`,
    );
  }
  if (!end.done) say("nothing to finish: no roll-over is under way");
  else say("hint: until a host has these files it trusts the old CA too: copy them soon");
  return 0;
}

async function abort(input: Input, options: RotateOptions): Promise<number> {
  const { abandonRotation, rotationStatus } = await import("../ca/mod.ts");
  const { position, hosts } = rotationStatus(options);
  const isBack = position === "started" && !hosts.some(({ state }) => state === "new");
  if (position !== "none" && !isBack) return await issue(input, options, "abort");
  const end = await abandonRotation(options);
  if (input.on("json")) console.log(JSON.stringify(end));
  else if (end.done) {
    console.log(line(`given up: ${end.name} goes on alone`));
    console.log(line(`  copy         each ${hostsDir(input)}/HOST to its host, whole`));
  }
  if (!end.done) say("nothing to give up: no roll-over is under way");
  return 0;
}

async function status(input: Input): Promise<number> {
  const { daysUntil, rotationStatus } = await import("../ca/mod.ts");
  const dir = input.get("dir")!;
  const found = rotationStatus({ dir });
  const advice = adviceFor(input, found);
  if (input.on("json")) {
    console.log(JSON.stringify({ ...found, next: found.next ?? null, then: asInvoked(advice) }));
    return 0;
  }
  const until = (date: Date) => untilText(date, daysUntil(new Date(), date));
  const { position, old, next, hosts } = found;
  if (next === undefined) {
    console.log(line(`no roll-over is under way: ${old.name}, until ${until(old.notAfter)}`));
    return 0;
  }
  console.log(position === "started" ? "started: the old CA signs" : "issuing: the next CA signs");
  console.log(line(`  old CA   ${old.name}, until ${until(old.notAfter)}`));
  console.log(line(`  next CA  ${next.name}, until ${until(next.notAfter)}`));
  if (hosts.length > 0) {
    const rows = hosts.map(({ host, state }) => [host, STATE_TEXT[state]]);
    console.log(`\n${tableText([["HOST", "HOLDS"], ...rows])}`);
  }
  if (advice !== "") say(`hint: ${advice}`);
  return 0;
}

const STATE_TEXT = {
  old: "a certificate of the old CA, and trusts that alone",
  both: "a certificate of the old CA, and trusts both",
  new: "a certificate of the next CA",
  revoked: "revoked",
  damaged: "a file that cannot be read",
} as const;

/** What comes next. */
function adviceFor(input: Input, { position, hosts }: RotationStatus): string {
  if (position === "none") return "";
  const isLeft = hosts.some(({ state }) => state === "old" || state === "both");
  if (position === "started" || isLeft) {
    return `copy each directory to its host, then: ${command(input, "issue")}`;
  }
  return `when every host has its directory and uses it: ${command(input, "finish")}`;
}

function command(input: Input, step: Step): string {
  const dir = input.get("dir")!;
  return `deno task ca rotate ${step}${dir === DIR_FLAG.default ? "" : ` --dir ${dir}`}`;
}

function hostsDir(input: Input): string {
  return `${input.get("dir")!.replace(/\/+$/, "")}/hosts`;
}

const MOST_NAMED = 20;

function some(names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  return names.slice(0, MOST_NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
