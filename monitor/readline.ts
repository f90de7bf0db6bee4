/** A line that is edited on a terminal at the other end, as QEMU's readline does it (util/readline.c). */

import type { Completion } from "./completion.ts";

/** Most characters of a line. */
export const MAX_LINE = 4095;
/** Lines that are remembered. */
const MAX_HISTORY = 64;
/** Columns that completions are laid out in. */
const COLUMNS = 80;

/** An editor of lines. */
export interface Readline {
  /** Takes a character; gives a line where it ends one. */
  push(character: string): string | undefined;
  /** Shows the prompt for the next line. */
  prompt(): void;
  /** The lines before, the oldest first. */
  readonly history: readonly string[];
}

/** How an editor is made. */
export interface ReadlineOptions {
  readonly prompt: string;
  readonly print: (text: string) => void;
  readonly complete: (line: string) => Completion;
}

/** The keys, by what a terminal sends. */
type Key =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "control"; readonly code: number }
  | { readonly kind: "escape"; readonly sequence: string };

/** Makes an editor. */
export function makeReadline(options: ReadlineOptions): Readline {
  const { print } = options;
  const history: string[] = [];
  let [line, cursor]: [string[], number] = [[], 0];
  /** What the other end shows. */
  let [shown, shownCursor]: [string, number] = ["", 0];
  /** The entry of the history that is edited; behind the last for a new line. */
  let entry: number | undefined;
  const parse = keyParser();

  function prompt(): void {
    print(options.prompt);
    [shown, shownCursor] = ["", 0];
  }

  /** Brings what is shown up to date. */
  function update(): void {
    const text = line.join("");
    if (text !== shown) {
      print(`${"\x1b[D".repeat(shownCursor)}${text}\x1b[K`);
      [shown, shownCursor] = [text, line.length];
    }
    const delta = cursor - shownCursor;
    if (delta !== 0) print((delta > 0 ? "\x1b[C" : "\x1b[D").repeat(Math.abs(delta)));
    shownCursor = cursor;
  }

  function insert(text: string): void {
    for (const character of text) {
      if (line.length < MAX_LINE) line.splice(cursor++, 0, character);
    }
  }

  function show(text: string): void {
    line = [...text];
    cursor = line.length;
  }

  function up(): void {
    const next = (entry ?? history.length) - 1;
    if (next < 0) return;
    entry = next;
    show(history[next]!);
  }

  function down(): void {
    if (entry === undefined) return;
    entry = entry + 1 < history.length ? entry + 1 : undefined;
    show(entry === undefined ? "" : history[entry]!);
  }

  function remember(text: string): void {
    if (text === "") return;
    const old = history.indexOf(text);
    if (old >= 0) history.splice(old, 1);
    history.push(text);
    if (history.length > MAX_HISTORY) history.shift();
    entry = undefined;
  }

  function backWord(): void {
    let start = cursor;
    while (start > 0 && /\s/.test(line[start - 1]!)) start--;
    while (start > 0 && !/\s/.test(line[start - 1]!)) start--;
    line.splice(start, cursor - start);
    cursor = start;
  }

  function complete(): void {
    const { prefix, words } = options.complete(line.slice(0, cursor).join(""));
    const [first] = words;
    if (first === undefined) return;
    if (words.length === 1) {
      insert(first.slice(prefix.length));
      return first.endsWith("/") ? undefined : insert(" ");
    }
    insert(commonPrefix(words).slice(prefix.length));
    print(`\n${layOut(words)}`);
    prompt();
  }

  function enter(): string {
    const text = line.join("");
    remember(text);
    print("\n");
    [line, cursor, shown, shownCursor] = [[], 0, "", 0];
    return text;
  }

  const controls: Readonly<Record<number, () => void>> = {
    1: () => cursor = 0,
    4: () => void line.splice(cursor, 1),
    5: () => cursor = line.length,
    8: back,
    9: complete,
    12: () => {
      print("\x1b[2J\x1b[1;1H");
      prompt();
    },
    23: backWord,
    127: back,
  };
  const escapes: Readonly<Record<string, () => void>> = {
    "[A": up,
    "[F": up,
    "[B": down,
    "[E": down,
    "[D": () => cursor = Math.max(0, cursor - 1),
    "[C": () => cursor = Math.min(line.length, cursor + 1),
    "[1~": () => cursor = 0,
    "[3~": () => void line.splice(cursor, 1),
    "[4~": () => cursor = line.length,
    OF: () => cursor = line.length,
    OH: () => cursor = 0,
  };

  function back(): void {
    if (cursor > 0) line.splice(--cursor, 1);
  }

  return {
    history,
    prompt,
    push(character) {
      const key = parse(character);
      if (key === undefined) return undefined;
      if (key.kind === "control" && (key.code === 10 || key.code === 13)) return enter();
      if (key.kind === "text") insert(key.text);
      else if (key.kind === "control") controls[key.code]?.();
      else if (Object.hasOwn(escapes, key.sequence)) escapes[key.sequence]!();
      update();
      return undefined;
    },
  };
}

/** Puts the characters of an escape sequence together. */
function keyParser(): (character: string) => Key | undefined {
  let sequence: string | undefined;
  return (character) => {
    if (sequence === undefined) {
      const code = character.codePointAt(0)!;
      if (code === 27) {
        sequence = "";
        return undefined;
      }
      return code < 32 || code === 127
        ? { kind: "control", code }
        : { kind: "text", text: character };
    }
    sequence += character;
    const isOpen = sequence === "[" || sequence === "O" || /^\[\d{1,8}$/.test(sequence);
    if (isOpen) return undefined;
    const whole = sequence;
    sequence = undefined;
    return { kind: "escape", sequence: whole };
  };
}

function commonPrefix(words: readonly string[]): string {
  let prefix = words[0] ?? "";
  for (const word of words) while (!word.startsWith(prefix)) prefix = prefix.slice(0, -1);
  return prefix;
}

function layOut(words: readonly string[]): string {
  const width = Math.min(COLUMNS, Math.max(10, Math.max(...words.map((word) => word.length)) + 2));
  const columns = Math.floor(COLUMNS / width);
  return words.map((word, i) =>
    word.padEnd(width) + ((i + 1) % columns === 0 || i === words.length - 1 ? "\n" : "")
  ).join("");
}
