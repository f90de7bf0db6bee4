/** `ca issue`: credentials for hosts. */

import type { IssuedHost, ProfileName, Role } from "../ca/mod.ts";
import { changeTold, DIR_FLAG, KEY_TYPE_FLAG, keyTypeFor, SUBJECT_FLAG } from "./_ca_flags.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import {
  authorityPassphrase,
  HOST_PASSPHRASE_FLAG,
  hostPassphrase,
  PASSPHRASE_FLAG,
} from "./_passphrase.ts";
import { issuedJson, printIssued, sayHostNotes } from "./_ca_issued.ts";
import { issueInventory } from "./_ca_inventory.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { untilSignal } from "./_console.ts";
import { say } from "./_output.ts";

/** The command. */
export const caIssue: Command = {
  name: "ca issue",
  summary: "make a directory of credentials for each host, ready for tls-creds-x509,dir=…",
  usage: "HOST…|--inventory FILE [--dir DIR] [--dns NAME]… [--ip ADDR]… [--role ROLE]… [--days N]",
  examples: [
    ["deno task ca issue host-a host-b", "pki/hosts/host-a and pki/hosts/host-b"],
    [
      "deno task ca issue host-a --dns host-a.example.com --ip 192.0.2.7 --ip 2001:db8::7",
      "every name that others reach it by",
    ],
    ["deno task ca issue 192.0.2.9 --role server", "a host that has only an address"],
    ["deno task ca issue --inventory hosts.csv", "a fleet: only what differs is issued"],
    ["deno task ca issue host-a --host-passphrase-file /run/qemu-pass", "its keys encrypted"],
  ],
  flags: [
    DIR_FLAG,
    {
      name: "inventory",
      value: "FILE",
      help: "issue for the hosts of a file that do not hold what it says",
    },
    { name: "dry-run", help: "say what --inventory would issue and why, and change nothing" },
    { name: "dns", value: "NAME", repeat: true, help: "further DNS name of each host" },
    { name: "ip", value: "ADDR", repeat: true, help: "further IP address of each host" },
    {
      name: "role",
      value: "ROLE",
      repeat: true,
      choices: ["server", "client"],
      help: "endpoint to issue for; both when absent",
    },
    KEY_TYPE_FLAG,
    SUBJECT_FLAG,
    {
      name: "profile",
      value: "NAME",
      choices: ["widest", "strict"],
      default: "widest",
      help: "extensions for every QEMU, or as RFC 5280 would have them",
    },
    { name: "allow-wildcard", help: "take a --dns such as *.example.com" },
    { name: "days", value: "N", default: "365", help: "days until it expires" },
    PASSPHRASE_FLAG,
    HOST_PASSPHRASE_FLAG,
    { name: "json", help: "one JSON object for each host" },
    ENGINE_FLAG,
  ],
  operands: { name: "HOST", min: 0, max: 100_000 },
  exitOne: "the work failed, or a row of the inventory could not be issued for",
  notes: `A host's directory is replaced in one step; the set it had before is kept in
DIR/previous/HOST until the next. Names are folded to lower case, internationalized ones
become A-labels; a HOST that is an IP address becomes an IP name, and its directory is
called as RFC 5952 spells it (hosts/fd00::1).
Without --subject it is O=<the CA's CN>, which virt-pki-validate looks for. --profile strict
makes the key usage critical on EC keys too: QEMU before 7.2.22 and 8.0 to 10.1.2 refuses that.
An inventory is CSV with the header host,dns,ip,role,days,qemu or a part of that (; parts a list),
JSON or YAML with the same names, by the file's ending; any other file is an Ansible inventory
(ansible_host, and virtcreds_dns and so on). Flags hold for rows that say nothing else. qemu is
the version that has to take the set. A row that is wrong is named and stops no other.
The passphrase of an encrypted CA key is asked for on a terminal. One for the hosts' keys must
not end with a line end: QEMU, which reads it from a file too, would take that for a part of it.`,
  run,
};

async function run(input: Input): Promise<number> {
  const { issueHosts, LONGEST_DAYS } = await import("../ca/mod.ts");
  const dir = input.get("dir")!;
  const days = input.number("days", 1, LONGEST_DAYS)!;
  const options = {
    dns: input.all("dns"),
    ip: input.all("ip"),
    roles: input.all("role") as Role[],
    profile: input.get("profile") as ProfileName,
    subject: input.get("subject"),
    allowWildcard: input.on("allow-wildcard"),
    keyType: keyTypeFor(input),
    days,
  };
  const context = async (signal: AbortSignal) => ({
    dir,
    signal,
    engine: await engineFor(input),
    hostPassphrase: await hostPassphrase(input),
    passphrase: await authorityPassphrase(input, dir),
    ...changeTold(dir),
  });
  checkHosts(input);
  return await untilSignal(async (signal) => {
    if (input.get("inventory") !== undefined) {
      return await issueInventory(input, options, () => context(signal));
    }
    const hosts = input.operands.map((host) => ({ ...options, host }));
    await print(await issueHosts(hosts, await context(signal)), input);
    return 0;
  });
}

async function print(issued: readonly IssuedHost[], input: Input): Promise<void> {
  const secret = input.get(HOST_PASSPHRASE_FLAG.name);
  for (const [i, host] of issued.entries()) {
    if (input.on("json")) console.log(JSON.stringify(issuedJson(host)));
    else await printIssued(host, secret);
    const asked = input.operands[i]!;
    if (asked !== host.host) say(`note: ${asked} is issued as ${host.host}`);
    sayHostNotes(host);
  }
  if (secret === "-" && !input.on("json")) {
    say("note: QEMU wants the passphrase in the file that file= is to name, without a line end");
  }
}

/** Hosts are named or listed in a file; only a list is compared with what there is. */
function checkHosts(input: Input): void {
  const [named, listed] = [input.operands.length > 0, input.get("inventory") !== undefined];
  const help = "see: deno task ca issue --help";
  if (!named && !listed) throw usage("missing HOST", help);
  if (named && listed) throw usage("give hosts or --inventory, not both", help);
  if (input.on("dry-run") && !listed) throw usage("--dry-run is for --inventory", help);
}
