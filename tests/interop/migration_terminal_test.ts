import { assert, assertEquals, assertMatch } from "@std/assert";
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

programTest(
  "both ends draw their progress on a terminal, and wipe it for what they say",
  ["script"],
  async () => {
    const onTerminal = (command: string) => start("script", ["-qfec", command, "/dev/null"]);
    const listening = "--incoming tcp:127.0.0.1:0 --guest-ram 24M";
    await using target = onTerminal(`${program("migration/target.ts")} ${listening}`);
    await target.untilOut("listening on tcp:127.0.0.1:");
    const [, uri] = /listening on (tcp:\S+)/.exec(target.stdout())!;
    // Takes longer than two seconds; a line comes twice in one.
    const slow = "--guest-ram 24M --parameter max-bandwidth=10M --json >/dev/null";
    await using source = onTerminal(`${program("migration/source.ts")} --migrate ${uri} ${slow}`);
    assertEquals(await source.exit, 0, source.stdout());
    assertEquals(await target.exit, 0, target.stdout());
    const wiped = (text: string) => text.replaceAll("\r\x1b[K", "<wiped>");
    const sent = wiped(source.stdout());
    const shown = [...sent.matchAll(/<wiped>sent (\d+) MB, \d+ MB\/s, pass 1, (\d+) MB left/g)];
    assert(shown.length >= 2, sent);
    const numbers = shown.map(([, bytes, left]) => [Number(bytes), Number(left)] as const);
    for (const [i, [bytes, left]] of numbers.slice(1).entries()) {
      assert(bytes >= numbers[i]![0] && left <= numbers[i]![1], sent);
    }
    assertMatch(sent, /MB left<wiped>waiting for the destination's acknowledgement/);
    assertMatch(sent, /(\n|<wiped>)completed: .*acknowledged by the destination\r\n$/);
    assertMatch(wiped(target.stdout()), /<wiped>received \d+ MB, \d+ MB\/s<wiped>.*completed: /);
  },
);
