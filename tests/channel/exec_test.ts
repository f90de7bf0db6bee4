import { assert, assertEquals, assertRejects } from "@std/assert";
import { pause } from "../../base/mod.ts";
import { ChannelError } from "../../channel/error.ts";
import { startCommand } from "../../channel/exec.ts";
import { readToEnd } from "../support/channels.ts";
import { temporaryDirectory } from "../support/temp.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const start = (command: string) => startCommand({ kind: "exec", command });

Deno.test("startCommand() gives what the command prints, and it what is written", async () => {
  await using channel = start("cat; echo end");
  await channel.write(bytes("one "));
  assertEquals(await channel.read(new Uint8Array(2)), 2);
  const reading = readToEnd(channel);
  await channel.write(new Uint8Array(300_000).fill(0x78));
  await channel.closeWrite();
  await channel.closeWrite();
  const rest = new TextDecoder().decode(await reading);
  assertEquals(rest, `e ${"x".repeat(300_000)}end\n`);
  assertEquals([await channel.exit, await channel.read(new Uint8Array(1))], [0, null]);
  assertEquals(channel.peer, "exec:cat; echo end");
});

Deno.test("startCommand() says with which code the command has failed", async () => {
  await using channel = start("printf ab; exit 7");
  const into = new Uint8Array(8);
  assertEquals(await channel.read(into), 2);
  const error = await assertRejects(() => channel.read(into), ChannelError, "exit code 7");
  assertEquals([error.code, error.hints.length], ["COMMAND_FAILED", 1]);
});

Deno.test("startCommand() fails the writes to a command that has gone", async () => {
  await using channel = start("exit 0");
  await channel.exit;
  const error = await assertRejects(async () => {
    for (;;) await channel.write(new Uint8Array(65536));
  }, ChannelError);
  assertEquals(error.code, "CHANNEL_WRITE");
  channel.close();
  await assertRejects(() => channel.write(bytes("x")), ChannelError, "is closed");
});

/** A zombie has ended: nobody here is its parent. */
function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}

Deno.test("startCommand() leaves nothing behind that its shell has started", async () => {
  for (const trap of ["", "trap '' TERM; "]) {
    const into = new Uint8Array(16);
    let count: number | null;
    {
      await using channel = start(
        `sh -c 'echo $$; ${trap.replaceAll("'", `'\\''`)}sleep 1000; true'; true`,
      );
      count = await channel.read(into);
    }
    const pid = Number(new TextDecoder().decode(into.subarray(0, count!)));
    assert(pid > 1);
    for (let i = 0; i < 50 && isRunning(pid); i++) await pause(100);
    assertEquals(isRunning(pid), false);
  }
});

Deno.test("startCommand() leaves no command behind, however stubborn it is", async () => {
  using temp = temporaryDirectory();
  for (const command of ["exec sleep 1000", "trap '' TERM; exec sleep 1000", "cat >f"]) {
    let exit: Promise<number>;
    {
      await using channel = start(`cd ${temp.path}; ${command}`);
      exit = channel.exit;
      const reading = channel.read(new Uint8Array(1));
      channel.close();
      assertEquals(await reading, null);
    }
    assertEquals(
      await exit,
      command.startsWith("cat") ? 0 : command.startsWith("trap") ? 137 : 143,
    );
  }
});
