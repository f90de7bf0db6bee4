/** `creds matrix`: which hosts of a fleet reach which over TLS. */

import type { Matrix, MatrixHost, PairOutcome, Profile } from "../creds/mod.ts";
import { BaseError } from "../base/mod.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { dateOf } from "./_creds_date.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { sayError } from "./_output.ts";
import { refuseOtherFile, writePage } from "./_page_file.ts";
import { JUDGED_PASSPHRASE_FLAG, judgedPassphrase, mendWithPassphrase } from "./_passphrase.ts";

/** The command. */
export const credsMatrix: Command = {
  name: "creds matrix",
  summary: "say which hosts of a fleet reach which over TLS, by which names, and why not",
  usage: "DIR…|--inventory FILE [--html FILE] [--json]",
  examples: [
    ["deno task creds matrix pki/hosts/*", "every pair of the hosts that were issued"],
    [
      "deno task creds matrix --inventory hosts.csv",
      "each host as its own QEMU judges, by the names that the inventory has",
    ],
    ["deno task creds matrix pki/hosts/* --html matrix.html", "a page with the grid"],
    ["deno task creds matrix pki/hosts/* --at 2027-06-01", "who will reach whom that day"],
  ],
  flags: [
    {
      name: "inventory",
      value: "FILE",
      help: "hosts, names, roles and QEMU versions, as ca issue --inventory reads them",
    },
    {
      name: "dir",
      value: "DIR",
      default: "pki",
      help: "of the authority: an inventory's hosts are in DIR/hosts",
    },
    {
      name: "qemu",
      value: "VERSION",
      default: "all",
      help: "of hosts that the inventory gives none; all: every line of QEMU has to take them",
    },
    { name: "at", value: "DATE", help: "judge as on a day to come, such as 2027-01-31" },
    { name: "html", value: "FILE", help: "write a page with the grid, whole in one file" },
    { name: "json", help: "one object per ordered pair: {source, destination, state, …}" },
    JUDGED_PASSPHRASE_FLAG,
    ENGINE_FLAG,
  ],
  operands: { name: "DIR", min: 0, max: 100_000 },
  exitOne: "a pair does not pass by every name of its destination",
  notes:
    `A pair is a client object of the source's QEMU and a server object of the destination's, with
verify-peer=on on both sides. Hosts whose rows and columns are alike share one in a wide grid.
--json: {source, destination, state, refusals: [{by, when, code, message, seen, cause, mend}],
names: [{name, kind, ok}]}; state is passes, names (some are not in the certificate), refused, or
role (one of the two has no such role). message is QEMU's own text, seen what the other side says.`,
  run,
};

async function run(input: Input): Promise<number> {
  const at = dateOf(input);
  const html = input.get("html");
  if (html !== undefined) refuseOtherFile(html);
  const { hosts, failed } = await hostsOf(input);
  if (hosts.length < 2) {
    throw usage(
      `a pair has two hosts, and here ${hosts.length === 1 ? "is one" : "are none"}`,
      "name their directories, or an inventory",
    );
  }
  const { judgeMatrix } = await import("../creds/mod.ts");
  const clock = at === undefined ? {} : { clock: () => at };
  const password = await judgedPassphrase(input);
  const options = { engine: await engineFor(input), password, ...clock };
  const matrix = mending(await judgeMatrix(hosts, options), password !== undefined);
  if (html !== undefined) {
    const { matrixHtml } = await import("./_creds_matrix_html.ts");
    writePage(html, matrixHtml(matrix, at ?? new Date()));
  }
  if (input.on("json")) {
    const { printMatrixJson } = await import("./_creds_matrix_json.ts");
    printMatrixJson(matrix);
  } else {
    const { matrixText } = await import("./_creds_matrix_text.ts");
    console.log(matrixText(matrix));
  }
  return failed || !allPass(matrix) ? 1 : 0;
}

/** Equal outcomes stay one object. */
function mending(matrix: Matrix, hasPassphrase: boolean): Matrix {
  const known = new Map<PairOutcome, PairOutcome>();
  const mended = (outcome: PairOutcome): PairOutcome => ({
    ...outcome,
    refusals: outcome.refusals.map((one) => ({
      ...one,
      mend: mendWithPassphrase(one.code, one.mend, hasPassphrase),
    })),
  });
  return {
    ...matrix,
    pair(source, destination) {
      const outcome = matrix.pair(source, destination);
      let other = known.get(outcome);
      if (other === undefined) known.set(outcome, other = mended(outcome));
      return other;
    },
  };
}

function allPass({ hosts, pair }: Matrix): boolean {
  return hosts.every((_, from) =>
    hosts.every((_, to) => from === to || ["passes", "role"].includes(pair(from, to).state))
  );
}

/** The hosts that are asked about, and whether a row could not be used. */
async function hostsOf(
  input: Input,
): Promise<{ readonly hosts: readonly MatrixHost[]; readonly failed: boolean }> {
  const inventory = input.get("inventory");
  if ((inventory === undefined) === (input.operands.length === 0)) {
    throw usage("give directories, or --inventory", "deno task creds matrix pki/hosts/*");
  }
  const profiles = await profilesOf(input.get("qemu")!);
  return inventory === undefined
    ? { hosts: directories(input.operands, profiles), failed: false }
    : await inventoryHosts(inventory, input.get("dir")!, profiles);
}

async function profilesOf(version: string): Promise<readonly Profile[]> {
  const { findProfile, PROFILES } = await import("../creds/mod.ts");
  return version === "all" ? PROFILES : [findProfile(version)];
}

/** A host is called as its directory is, where no other one is called so. */
function directories(dirs: readonly string[], profiles: readonly Profile[]): MatrixHost[] {
  const paths = [...new Set(dirs.map((dir) => dir.replace(/(?<=.)\/+$/, "")))];
  const names = paths.map((path) => path.replace(/^.*\//, ""));
  return paths.map((dir, i) => {
    if (!isDirectory(dir)) throw new BaseError("FILE_NOT_READABLE", { file: dir, cause: NO_DIR });
    const isAlone = names.filter((name) => name === names[i]).length === 1;
    return { name: isAlone ? names[i]! : dir, dir, profiles };
  });
}

const NO_DIR = "it is no directory of credentials";

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
}

async function inventoryHosts(file: string, dir: string, profiles: readonly Profile[]) {
  const { readInventory } = await import("../ca/mod.ts");
  const hosts: MatrixHost[] = [];
  let failed = false;
  for (const row of await readInventory(file)) {
    if (!row.ok) {
      failed = true;
      sayError(row.where, row.error);
      continue;
    }
    const { host, names, roles, qemu } = row.request;
    hosts.push({
      name: host.text,
      dir: `${dir.replace(/(?<=.)\/+$/, "")}/hosts/${host.text}`,
      profiles: qemu === undefined ? profiles : [qemu],
      names: names.map(({ text }) => text).filter((name) => !name.startsWith("*")),
      roles,
    });
  }
  return { hosts, failed };
}
