/** The escape key of a device that several share (`mux=on`), as QEMU's chardev/char-mux.c has it. */

import { type ChardevChannel, onTopOf } from "./describe.ts";

/** Ctrl-A: what follows is a command. */
export const MUX_ESCAPE = 0x01;

/** QEMU's help, `%` being the escape key. */
const HELP = [
  "% h    print this help",
  "% x    exit emulator",
  "% s    save disk data back to file (if -snapshot)",
  "% t    toggle console timestamps",
  "% b    send break (magic sysrq)",
  "% c    switch between console and monitor",
  "% %  sends %",
];

/** What the keys do. */
export interface MuxHandlers {
  /** The escape key; {@linkcode MUX_ESCAPE} by default. */
  readonly escape?: number;
  /** `b`: a serial break to the other side. */
  readonly onBreak?: () => void;
  /** `x`: end it all. */
  readonly onQuit?: () => void;
  /** Makes what gets the keys while it is in front, after `c`; it shows what it prints. */
  readonly monitor?: (print: (text: string) => void) => MuxMonitor;
}

/** Another front end than the device's own. */
export interface MuxMonitor {
  /** Takes what was typed. */
  type(bytes: Uint8Array): void;
  /** Is in front from now on. */
  focus(): void;
}

/** The state of one device: which front end has the keys, whether lines are stamped. */
export interface Mux {
  /** Takes what was typed, does what its keys say, and gives what is for the device. */
  input(bytes: Uint8Array): Uint8Array;
  /** Gives what is shown for what was written. */
  output(bytes: Uint8Array): Uint8Array;
}

/**
 * Makes the state of a device.
 *
 * @param print Shows a text of the keys themselves.
 * @param now Time in ms, for stamps.
 */
export function makeMux(
  handlers: MuxHandlers,
  print: (text: string) => void,
  now: () => number = performance.now.bind(performance),
): Mux {
  const { escape = MUX_ESCAPE } = handlers;
  const monitor = handlers.monitor?.(print);
  let escaped = false;
  let over = false;
  let atMonitor = false;
  let stamps = false;
  let stampsFrom: number | undefined;
  let lineStart = true;

  /** Does what a key behind the escape key says; gives whether the escape key itself is meant. */
  function press(key: number): boolean {
    switch (String.fromCharCode(key)) {
      case "?":
      case "h":
        print(helpText(escape));
        break;
      case "x":
        print("virtcreds: Terminated\n\r");
        over = true;
        handlers.onQuit?.();
        break;
      case "b":
        handlers.onBreak?.();
        break;
      case "c":
        if (monitor === undefined) break;
        atMonitor = !atMonitor;
        if (atMonitor) monitor.focus();
        break;
      case "t":
        stamps = !stamps;
        stampsFrom = undefined;
        lineStart = false;
        break;
    }
    return key === escape;
  }

  return {
    input(bytes) {
      if (!escaped && !atMonitor && !bytes.includes(escape)) return bytes;
      const out: number[] = [];
      let typed: number[] = [];
      for (const byte of bytes) {
        const wasEscaped = escaped;
        escaped = !wasEscaped && byte === escape;
        if (escaped) continue;
        const before = atMonitor;
        if (wasEscaped && !press(byte)) {
          if (before && !atMonitor) {
            monitor?.type(Uint8Array.from(typed));
            typed = [];
          }
          if (over) break;
          continue;
        }
        (atMonitor ? typed : out).push(byte);
      }
      if (typed.length > 0) monitor?.type(Uint8Array.from(typed));
      return Uint8Array.from(out);
    },
    output(bytes) {
      if (!stamps) return bytes;
      const out: number[] = [];
      for (const byte of bytes) {
        if (lineStart) {
          stampsFrom ??= now();
          out.push(...new TextEncoder().encode(stamp(now() - stampsFrom)));
          lineStart = false;
        }
        out.push(byte);
        if (byte === 0x0a) lineStart = true;
      }
      return Uint8Array.from(out);
    },
  };
}

/** The help in QEMU's words. */
function helpText(escape: number): string {
  const isControl = escape > 0 && escape < 26;
  const name = isControl ? `C-${String.fromCharCode(escape - 1 + 0x61)}` : "Escape-Char";
  const head = isControl
    ? "\n\r"
    : `\n\rEscape-Char set to Ascii: 0x${escape.toString(16).padStart(2, "0")}\n\r\n\r`;
  return head + HELP.map((line) => `${line.replaceAll("%", name)}\n\r`).join("");
}

/** `[HH:MM:SS.mmm] `. */
function stamp(ms: number): string {
  const two = (number: number) => String(Math.floor(number)).padStart(2, "0");
  const seconds = ms / 1000;
  return `[${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}.${
    String(Math.floor(ms % 1000)).padStart(3, "0")
  }] `;
}

/** Puts the keys on a connection: its peer types them. */
export function muxChannel(
  below: ChardevChannel,
  handlers: MuxHandlers = {},
): ChardevChannel {
  let last: Promise<void> = Promise.resolve();
  let over = false;
  const send = (bytes: Uint8Array) => {
    const sending = last.then(() => below.write(bytes));
    last = sending.catch(() => {});
    return sending;
  };
  const mux = makeMux(
    {
      onQuit: () => over = true,
      onBreak: () => channel.onBreak?.(),
      ...handlers,
    },
    (text) => void send(new TextEncoder().encode(text)).catch(() => {}),
  );
  const channel: ChardevChannel = onTopOf(below, {
    async read(into) {
      while (!over) {
        const count = await below.read(into);
        if (count === null) return null;
        const bytes = mux.input(into.subarray(0, count));
        if (bytes.length === 0) continue;
        into.set(bytes);
        return bytes.length;
      }
      await last;
      return null;
    },
    write: (bytes) => send(mux.output(bytes)),
  });
  below.onBreak = () => channel.onBreak?.();
  return channel;
}
