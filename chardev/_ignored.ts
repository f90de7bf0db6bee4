/** What QEMU takes for a device and does nothing with: said, not refused. */

import { COMMON, USED } from "./_option_table.ts";
import type { OptionWarning, ParsedOptions } from "./_qemu_opts.ts";
import { leaveOut } from "./_refuse.ts";

/** Names the options without an effect on a device of this kind, and why. */
export function ignoredOptions(given: ParsedOptions, kind: string): OptionWarning[] {
  const found: OptionWarning[] = [];
  const note = (names: readonly string[], where: string) => {
    for (const name of names) {
      if (!given.names.includes(name)) continue;
      found.push({ text: `option '${name}' has no effect ${where}`, hint: leaveOut(name) });
    }
  };
  const used = USED[kind] ?? [];
  note(given.names.filter((name) => !COMMON.has(name) && !used.includes(name)), articled(kind));
  if (given.string("logfile") === undefined) note(["logappend"], "without logfile=");
  if (kind !== "socket") return found;
  const tcp = ["port", "to", "ipv4", "ipv6", "nodelay", "delay"];
  if (given.string("host") !== undefined) note(["abstract", "tight"], "on a TCP socket");
  else if (given.string("path") !== undefined) note(tcp, "on a unix socket");
  else note([...tcp, "abstract", "tight"], "on a descriptor");
  if (!given.bool("server") && given.string("host") !== undefined) note(["to"], "on a client");
  return found;
}

function articled(kind: string): string {
  return kind === "stdio" || kind === "null" ? `on ${kind}` : `on a ${kind}`;
}
