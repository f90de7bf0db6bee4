/** `ca log`: what was done with the authority, and whether that is what was written. */

import type { ShownEntry } from "../ca/mod.ts";
import { DIR_FLAG, sayWaiting } from "./_ca_flags.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { line, say } from "./_output.ts";
import { tableText } from "./_table.ts";

/** The command. */
export const caLog: Command = {
  name: "ca log",
  summary: "show what was done with the CA, by whom and when, or verify that record",
  usage: "[HOST|SERIAL] [--last N] [--json] [--verify [--head SEQ:DIGEST]] [--dir DIR]",
  examples: [
    ["deno task ca log", "everything"],
    ["deno task ca log host-a --last 5", "the last of a host"],
    ["deno task ca log --verify", "ends with 1 and names the first entry that was altered"],
    ["deno task ca log --verify --head 42:5f0a…", "and that nothing of an earlier state is gone"],
  ],
  flags: [
    DIR_FLAG,
    { name: "last", value: "N", help: "the last entries alone" },
    { name: "json", help: "one JSON object for each entry, or for the verdict" },
    { name: "verify", help: "check both copies, the chain, the signatures and the files" },
    {
      name: "head",
      value: "SEQ:DIGEST",
      help: "an end of the log that was kept elsewhere, which --verify prints",
    },
    ENGINE_FLAG,
  ],
  operands: { name: "HOST|SERIAL", min: 0, max: 1 },
  exitOne: "something is not as it was written, or the work failed",
  notes: `Each entry has the SHA-256 of the one before, and the CA's key signs the last one of each
change that it is opened for. The log lies in DIR/ca.db and, the same, in DIR/ca.log, one JSON
object a line. Nothing is changed, and no key is needed.
What DIR/ca.log had lost when a command found it so is an entry too, which --verify shows.
Who holds the CA's key and rewrites every file is found out by a head alone that was kept
elsewhere: note the one that --verify prints.`,
  run,
};

async function run(input: Input): Promise<number> {
  const verify = input.on("verify");
  if (!verify && input.get("head") !== undefined) {
    throw usage("--head is for --verify", "add --verify");
  }
  if (verify && (input.operands.length > 0 || input.get("last") !== undefined)) {
    throw usage("--verify looks at the whole log", "leave HOST|SERIAL and --last out");
  }
  return verify ? await runVerify(input) : await show(input);
}

async function show(input: Input): Promise<number> {
  const { readEntries } = await import("../ca/mod.ts");
  const entries = await readEntries({
    dir: input.get("dir")!,
    target: input.operands[0],
    last: input.number("last", 1, 1_000_000),
  });
  if (input.on("json")) {
    for (const entry of entries) console.log(JSON.stringify(entry));
  } else if (entries.length === 0) say(`no entry has ${input.operands[0]}`);
  else {
    const header = ["SEQ", "TIME", "WHO", "ACT", "HOST", "SERIAL", "SHA-256", "NOTE"];
    console.log(tableText([header, ...entries.map(rowOf)]));
  }
  return 0;
}

function rowOf(entry: ShownEntry): string[] {
  const { seq, time, who, act, host, serial, sha256, reason, revoked, number, note } = entry;
  const notes = [
    number === undefined ? [] : [`number ${number}`],
    revoked === undefined || reason === undefined ? [] : [`reason ${reason}`],
    note === undefined ? [] : [note],
  ].flat();
  const columns = [
    String(seq),
    time.replace(/\.\d+Z$/, "Z"),
    who,
    act,
    host || "-",
    serial ?? "-",
    sha256?.slice(0, 16) ?? "-",
    notes.join(", "),
  ];
  return columns.map(line);
}

async function runVerify(input: Input): Promise<number> {
  const { parseHead, verifyLog } = await import("../ca/mod.ts");
  const dir = input.get("dir")!;
  const kept = input.get("head");
  const head = kept === undefined ? undefined : parseHead(kept);
  if (kept !== undefined && head === undefined) {
    throw usage("--head takes SEQ:DIGEST", "as ca log --verify prints it, such as 42:5f0a…");
  }
  const verdict = await verifyLog({
    dir,
    engine: await engineFor(input),
    head,
    onWait: sayWaiting(dir),
  });
  const { faults, signed, gaps } = verdict;
  const end = `${verdict.head.seq}:${verdict.head.hash}`;
  if (input.on("json")) {
    console.log(JSON.stringify({ ok: faults.length === 0, faults, head: end, signed, gaps }));
    return faults.length === 0 ? 0 : 1;
  }
  for (const { file, seq, cause } of faults) {
    console.log(line(`${file}: ${seq === undefined ? "" : `entry ${seq}: `}${cause}`));
  }
  for (const { seq, time, who, note } of gaps) {
    console.log(line(`entry ${seq}: ${note}, as ${who} found on ${time}`));
  }
  if (faults.length > 0) {
    say(
      `the log is not what was written: ${faults.length} ${
        faults.length === 1 ? "fault" : "faults"
      }`,
      "compare with a backup: deno task ca restore FILE --dir ELSEWHERE",
      `make database and log one again from what is left: deno task ca rebuild --dir ${dir}`,
    );
    return 1;
  }
  const covered = signed === 0 ? "none signed by the CA's key" : `signed up to entry ${signed}`;
  console.log(`the log is whole: ${verdict.head.seq} entries, ${covered}`);
  console.log(`  head  ${end}`);
  return 0;
}
