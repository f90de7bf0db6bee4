/** The whole toolkit as one command: `virtcreds ca …`, `virtcreds creds …`, … */

import { printable, VERSION } from "../base/mod.ts";
import { dispatch, finish, usage } from "./_command.ts";

const GROUPS = {
  ca: {
    summary: "a certificate authority for virtualization hosts",
    run: async (args: readonly string[]) => dispatch((await import("./ca.ts")).CA, args),
  },
  creds: {
    summary: "what QEMU will say of a host's TLS credentials",
    run: async (args: readonly string[]) => dispatch((await import("./creds.ts")).CREDS, args),
  },
  migration: {
    summary: "receive, keep, inspect and send QEMU's live migrations over TLS",
    run: async (args: readonly string[]) =>
      dispatch((await import("./migration.ts")).MIGRATION, args),
  },
  chardev: {
    summary: "TLS serial ports: serve one, connect to one, or join two",
    run: async (args: readonly string[]) => dispatch((await import("./chardev.ts")).CHARDEV, args),
  },
  demo: {
    summary: "see all of it work in a minute, on this machine alone",
    run: async (args: readonly string[]) => (await import("./demo.ts")).runDemo(args),
  },
} as const;

/** What `virtcreds --help` prints. */
function help(): string {
  const names = Object.keys(GROUPS) as (keyof typeof GROUPS)[];
  return [
    "TLS credentials for virtualization hosts, and migrations and consoles that use them",
    "",
    "Usage: virtcreds COMMAND …",
    "",
    ...names.map((name) => `  ${name.padEnd(10)}  ${GROUPS[name].summary}`),
    "",
    "Examples:",
    "  virtcreds ca init",
    "  virtcreds ca issue vm1.example --ip 192.0.2.7",
    "  virtcreds creds check pki/hosts/*",
    "",
    "Each command has --help. Exit codes: 0 done, 1 the answer is no or the work failed, 2 wrong usage.",
  ].join("\n");
}

async function main(args: readonly string[]): Promise<number> {
  const [word, ...rest] = args;
  if (word === undefined) {
    console.error(help());
    return 2;
  }
  if (word === "--help" || word === "-h" || word === "help") {
    console.log(help());
    return 0;
  }
  if (word === "--version") {
    console.log(`virtcreds ${VERSION}`);
    return 0;
  }
  if (!Object.hasOwn(GROUPS, word)) {
    throw usage(
      `unknown command '${printable(word)}'`,
      `one of: ${Object.keys(GROUPS).join(", ")}`,
    );
  }
  return await GROUPS[word as keyof typeof GROUPS].run(rest);
}

if (import.meta.main) await finish(() => main(Deno.args));
