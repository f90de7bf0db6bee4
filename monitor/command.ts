/** The commands of a monitor, as its owner writes them down. */

import { MonitorError } from "./error.ts";
import type { JsonObject, JsonValue } from "./json.ts";
import { type Members, readMembers, schemaMembers, type Values } from "./shape.ts";
import type { SchemaType } from "./schema.ts";

/** Who sent a command. */
export interface MonitorSession {
  /** Aborts when whoever sent it is gone. */
  readonly signal: AbortSignal;
  /** Whether a command may take its time; one that QMP has passed on to the human monitor may not. */
  readonly mayWait: boolean;
  /** The descriptors that `getfd` has named here. */
  readonly descriptors: NamedDescriptors;
  /** Takes the descriptor that came with the command (SCM_RIGHTS); the caller closes it. */
  takeDescriptor(): number | undefined;
}

/** Descriptors by the names that a client gave them. */
export interface NamedDescriptors extends Disposable {
  /** Keeps a descriptor; one that had the name is closed. */
  set(name: string, descriptor: number): void;
  /** Takes one out: it belongs to the caller then. */
  take(name: string): number | undefined;
}

/** A command of QMP, whatever its arguments are. */
export interface QmpCommand {
  readonly name: string;
  /** The type of its arguments. */
  readonly args: SchemaType;
  /** Whether it may be executed out of band (`exec-oob`). */
  readonly oob?: boolean;
  /**
   * Checks the arguments and does it; what it gives is the answer.
   *
   * @throws {VirtcredsError} Whose text is the answer's `desc`.
   */
  run(args: JsonObject, session: MonitorSession): Promise<JsonValue>;
}

/** What a command of QMP is made from. */
export interface QmpCommandOptions<M extends Members> {
  readonly name: string;
  readonly members?: M;
  readonly oob?: boolean;
  run(
    args: Values<M>,
    session: MonitorSession,
  ): JsonValue | void | Promise<JsonValue | void>;
}

/**
 * Makes a command of QMP: its arguments are checked with QEMU's messages before it runs.
 *
 * @example A command with an argument
 * ```ts
 * import { qmpCommand, text } from "@virtcreds/virtcreds/monitor";
 *
 * qmpCommand({
 *   name: "closefd",
 *   members: { fdname: text },
 *   run: ({ fdname }, { descriptors }) => void descriptors.take(fdname),
 * });
 * ```
 */
export function qmpCommand<M extends Members>(options: QmpCommandOptions<M>): QmpCommand {
  const members = options.members ?? {} as M;
  return {
    name: options.name,
    args: { kind: "object", members: schemaMembers(members) },
    oob: options.oob ?? false,
    async run(args, session) {
      return await options.run(readMembers(members, args), session) ?? {};
    },
  };
}

/**
 * A parameter of a command of the human monitor, as the letters of QEMU's `args_type` have it:
 * `flag` a letter behind a dash, `string` a word or a quoted text, `rest` all that follows,
 * `bool` `on` or `off`, `int` an expression of numbers.
 */
export type HmpParameter =
  | { readonly kind: "flag"; readonly name: string; readonly letter: string }
  | {
    readonly kind: "string" | "rest" | "int";
    readonly name: string;
    readonly optional?: boolean;
  }
  | { readonly kind: "bool"; readonly name: string };

/** What was typed behind a command; each read is checked against its parameters. */
export interface HmpArguments {
  /** Whether a flag was given, or the value of a `bool`. */
  on(name: string): boolean;
  /** What was given; empty for an optional parameter that was not. */
  get(name: string): string;
  has(name: string): boolean;
}

/** A command of the human monitor. */
export interface HmpCommand {
  /** With its other name behind a bar, as QEMU has it: `quit|q`; or under a word: `info status`. */
  readonly name: string;
  readonly parameters?: readonly HmpParameter[];
  /** The parameters as help shows them: `[-d] uri`. */
  readonly usage?: string;
  readonly help: string;
  /**
   * Does it; what it gives is printed, each line of it.
   *
   * @throws {VirtcredsError} Printed behind `Error: `.
   */
  run(args: HmpArguments, session: MonitorSession): string | void | Promise<string | void>;
  /** The words that may follow: `words` are the arguments before the one that is completed. */
  complete?(words: readonly string[]): readonly string[];
}

/** A monitor: what its commands are, whoever talks to it. */
export interface Monitor {
  readonly qmp: readonly QmpCommand[];
  readonly hmp: readonly HmpCommand[];
  readonly events: EventHub;
  /** Ends the program: `quit`. The answer goes out first. */
  readonly quit: () => void;
}

/** Where events come from and go to. */
export interface EventHub {
  /** The names of the events that may come. */
  readonly names: readonly string[];
  /** Tells all that listen. */
  emit(name: string, data?: JsonObject): void;
  /** Calls for each event; gives the end of it. */
  listen(listener: (event: JsonObject) => void): () => void;
}

/** Makes a hub. */
export function makeEventHub(names: readonly string[]): EventHub {
  const listeners = new Set<(event: JsonObject) => void>();
  return {
    names,
    emit(name, data) {
      // The clock's fraction of a ms is lost to whoever asks for the date alone.
      const now = performance.timeOrigin + performance.now();
      const seconds = Math.floor(now / 1000);
      const microseconds = Math.floor((now - seconds * 1000) * 1000);
      const event = {
        timestamp: { seconds, microseconds },
        event: name,
        ...(data === undefined ? {} : { data }),
      };
      for (const listener of [...listeners]) listener(event);
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The error of a command that is not there. */
export function noCommand(name: string): MonitorError {
  return new MonitorError("COMMAND_NOT_FOUND", { value: name });
}
