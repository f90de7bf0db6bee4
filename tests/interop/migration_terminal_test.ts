import { assert, assertEquals } from "@std/assert";
import { start } from "../chardev/process.ts";
import { PROJECT } from "../support/command.ts";
import { programTest } from "../support/programs.ts";

/** How a shell runs one of this project's programs. */
const program = (file: string) =>
  `${Deno.execPath()} run -A --no-check --config ${PROJECT}/deno.json ${PROJECT}/${file}`;

programTest(
  "a source's monitor on a terminal completes what is typed, and no progress is drawn over it",
  ["script"],
  async () => {
    const source = `${program("migration/source.ts")} --guest-ram 32M --monitor stdio`;
    await using terminal = start("script", ["-qfec", source, "/dev/null"]);
    await terminal.untilOut("(qemu) ");
    await terminal.type("migrate_set_par\tmax-b\t1M\r");
    await terminal.untilOut("migrate_set_parameter max-bandwidth 1M");
    await terminal.type("migrate -d exec:cat>/dev/null\r");
    await terminal.untilOut("sending, plain");
    // Long enough for a progress line, which comes twice a second.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    await terminal.type("info mi\t\r");
    await terminal.untilOut("Migration status: active");
    await terminal.untilOut("pages-per-second: ");
    // Left of the cursor is what was typed, and nothing that somebody else has drawn.
    await terminal.type("migrate_ca\t\r");
    await terminal.untilOut("cancelled: the guest goes on");
    await terminal.type("\x1b[A\x1b[A\r");
    await terminal.untilOut("Migration status: cancelled");
    await terminal.type("quit\r");
    await terminal.exit;
    const output = terminal.stdout();
    assertEquals(/sent \d+ MB/.exec(output), null, output);
    assert(output.includes("migrate_parameters"), output);
  },
);

programTest(
  "a target's monitor on a terminal completes what is typed, and no progress is drawn over it",
  ["script"],
  async () => {
    const target = `${program("migration/target.ts")} --incoming defer --monitor stdio`;
    await using terminal = start("script", ["-qfec", target, "/dev/null"]);
    await terminal.untilOut("(qemu) ");
    await terminal.type("migrate_set_cap\tmul\ton\r");
    await terminal.untilOut("migrate_set_capability multifd on");
    await terminal.type("migrate_inc\ttcp:127.0.0.1:0\r");
    await terminal.untilOut("listening on tcp:127.0.0.1:");
    await terminal.type("info migrate_cap\t\r");
    await terminal.untilOut("multifd: on");
    await terminal.type("\x15\x17quit\r");
    await terminal.exit;
  },
);
