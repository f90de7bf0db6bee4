/** What is right in QEMU and would be ignored here. */

import { FOREIGN_OPTIONS } from "./_option_table.ts";
import type { ParsedOptions } from "./_qemu_opts.ts";
import { leaveOut } from "./_refuse.ts";
import { ChardevError } from "./error.ts";

/** Refuses it. */
export function checkBuilt(given: ParsedOptions): void {
  for (const name of given.names) {
    if (Object.hasOwn(FOREIGN_OPTIONS, name)) {
      throw new ChardevError("NO_EFFECT", {
        option: name,
        cause: "on a socket",
        hint: leaveOut(name),
      });
    }
  }
  const switches: Readonly<Record<string, string>> = {
    telnet: "no telnet negotiation is made",
    tn3270: "no telnet negotiation is made",
    websocket: "no WebSocket handshake is made",
    mux: "there is one front end, standard input and output",
  };
  for (const [name, cause] of Object.entries(switches)) {
    if (given.bool(name)) {
      throw new ChardevError("UNSUPPORTED", {
        option: `${name}=on`,
        cause,
        hint: `leave ${name}= out, here and at the peer`,
      });
    }
  }
  if (given.string("fd") !== undefined) {
    throw new ChardevError("UNSUPPORTED", {
      option: "fd=",
      cause: "a descriptor that was passed in cannot be taken over",
      hint: "use host= and port=, or path=",
    });
  }
  if (given.bool("abstract") && given.bool("tight") === false) {
    throw new ChardevError("UNSUPPORTED", {
      option: "tight=off",
      cause: "an abstract name is never padded with zeros",
      hint: "use tight=on at both ends",
    });
  }
  const unix = given.string("path") !== undefined;
  const misplaced = (names: readonly string[], cause: string) => {
    const option = names.find((name) => given.names.includes(name));
    if (option !== undefined) {
      throw new ChardevError("NO_EFFECT", { option, cause, hint: leaveOut(option) });
    }
  };
  if (unix) misplaced(["port", "to", "ipv4", "ipv6", "nodelay", "delay"], "on a unix socket");
  else misplaced(["abstract", "tight"], "on a TCP socket");
  if (!given.bool("server")) misplaced(["to"], "on a client");
  if (given.string("logfile") === undefined) misplaced(["logappend"], "without logfile=");
}
