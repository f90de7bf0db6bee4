/** The human monitor as a server: QEMU's prompt and its way to edit a line, one client on one channel. */

import { VERSION } from "../base/mod.ts";
import { makeSession, type MonitorChannel, readChannel } from "./_session.ts";
import type { Monitor, MonitorSession } from "./command.ts";
import { completeLine } from "./completion.ts";
import { allCommands, executeLine } from "./hmp_execute.ts";
import { makeReadline, MAX_LINE, type Readline } from "./readline.ts";

/** QEMU's prompt. */
export const PROMPT = "(qemu) ";
const BANNER = `virtcreds ${VERSION} monitor - type 'help' for more information\n`;
const TOO_LONG = `line too long: a command has up to ${MAX_LINE} characters, nothing was done\n`;

/** How a client is served. */
export interface HmpOptions {
  /**
   * Whether lines are edited here and echoed, as for a terminal at the other end of a socket;
   * without it, for a pipe, lines are only read.
   */
  readonly edits: boolean;
  readonly signal?: AbortSignal;
}

/** Serves one client until it leaves, the signal aborts or `quit`; the channel is closed then. */
export async function serveHmp(
  channel: MonitorChannel,
  monitor: Monitor,
  { edits, signal }: HmpOptions,
): Promise<void> {
  await using session = makeSession(channel, signal);
  const quit = Promise.withResolvers<"quit">();
  let hasQuit = false;
  const own: Monitor = {
    ...monitor,
    quit: () => {
      hasQuit = true;
      quit.resolve("quit");
    },
  };
  try {
    const talk = edits ? talkEdited : talkPlain;
    await talk(channel, own, session, () => hasQuit);
  } finally {
    channel.close();
    if (hasQuit) monitor.quit();
  }
}

type Talk = (
  channel: MonitorChannel,
  monitor: Monitor,
  session: MonitorSession,
  hasQuit: () => boolean,
) => Promise<void>;

const talkEdited: Talk = async (channel, monitor, session, hasQuit) => {
  const commands = allCommands({ ...monitor, hmp: [...monitor.hmp] });
  let output = "";
  const flush = async () => {
    const bytes = new TextEncoder().encode(output.replaceAll("\n", "\r\n"));
    output = "";
    if (bytes.length > 0) await channel.write(bytes);
  };
  const line: Readline = makeReadline({
    prompt: PROMPT,
    print: (text) => output += text,
    complete: (text) => completeLine(commands, text),
  });
  output += BANNER;
  line.prompt();
  const decoder = new TextDecoder();
  try {
    await flush();
    for await (const bytes of readChannel(channel)) {
      for (const character of decoder.decode(bytes, { stream: true })) {
        const typed = line.push(character);
        if (typed === undefined) continue;
        await flush();
        output += await executeLine(monitor, typed, session);
        if (hasQuit()) return await flush();
        line.prompt();
      }
      await flush();
    }
  } catch {
    // A client that is gone is one that has ended.
  }
};

const talkPlain: Talk = async (channel, monitor, session, hasQuit) => {
  const print = (text: string) => channel.write(new TextEncoder().encode(text));
  await print(BANNER + PROMPT);
  for await (const line of linesOf(channel)) {
    const output = line === undefined ? TOO_LONG : await executeLine(monitor, line, session);
    if (hasQuit()) return;
    await print(output + PROMPT);
  }
  await print("\n");
};

/** The lines of a channel; for one that is too long, nothing, once it has ended. */
async function* linesOf(channel: MonitorChannel): AsyncGenerator<string | undefined, void, void> {
  const decoder = new TextDecoder();
  let held = "";
  let isTooLong = false;
  for await (const bytes of readChannel(channel)) {
    const lines = (held + decoder.decode(bytes, { stream: true })).split(/\r?\n/);
    held = lines.pop()!;
    for (const line of lines) {
      yield isTooLong || line.length > MAX_LINE ? undefined : line;
      isTooLong = false;
    }
    // What is over the limit is not kept, and what follows up to the line's end belongs to it.
    isTooLong ||= held.length > MAX_LINE;
    if (isTooLong) held = "";
  }
  if (isTooLong) yield undefined;
  else if (held !== "") yield held;
}
