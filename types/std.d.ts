/** Declarations of what is used of the standard library, whose npm form ships none. */

declare module "@std/cli" {
  export interface ParseOptions {
    readonly string?: readonly string[];
    readonly boolean?: readonly string[];
    readonly collect?: readonly string[];
    readonly alias?: Readonly<Record<string, string | readonly string[]>>;
    readonly default?: Readonly<Record<string, unknown>>;
    readonly stopEarly?: boolean;
    readonly "--"?: boolean;
    /** Called for what is not declared; `false` leaves it out. `key` is absent for operands. */
    readonly unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  }
  export interface ParsedArgs {
    readonly _: (string | number)[];
    readonly "--"?: string[];
    readonly [flag: string]: unknown;
  }
  export function parseArgs(args: readonly string[], options?: ParseOptions): ParsedArgs;
}

declare module "@std/yaml" {
  export function parse(text: string): unknown;
}

declare module "@std/fmt/colors" {
  export function red(text: string): string;
  export function green(text: string): string;
  export function yellow(text: string): string;
  export function gray(text: string): string;
  export function setColorEnabled(value: boolean): void;
  export function getColorEnabled(): boolean;
}

declare module "@std/fs" {
  export interface WalkEntry {
    readonly path: string;
    readonly name: string;
    readonly isFile: boolean;
    readonly isDirectory: boolean;
    readonly isSymlink: boolean;
  }
  export interface WalkOptions {
    readonly maxDepth?: number;
    readonly includeFiles?: boolean;
    readonly includeDirs?: boolean;
    readonly includeSymlinks?: boolean;
    readonly followSymlinks?: boolean;
    readonly exts?: readonly string[];
    readonly match?: readonly RegExp[];
    readonly skip?: readonly RegExp[];
  }
  export function walkSync(root: string | URL, options?: WalkOptions): IterableIterator<WalkEntry>;
  export function copySync(
    from: string | URL,
    to: string | URL,
    options?: { readonly overwrite?: boolean; readonly preserveTimestamps?: boolean },
  ): void;
}

declare module "@std/path" {
  export function join(...parts: readonly string[]): string;
  export function resolve(...parts: readonly string[]): string;
  export function relative(from: string, to: string): string;
  export function dirname(path: string): string;
  export function basename(path: string): string;
}

declare module "@std/assert" {
  type AbstractConstructor<T> = abstract new (...args: never[]) => T;
  export function assert(condition: unknown, message?: string): asserts condition;
  export function assertFalse(condition: unknown, message?: string): void;
  export function assertEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertNotEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertMatch(actual: string, expected: RegExp, message?: string): void;
  export function assertStringIncludes(actual: string, expected: string, message?: string): void;
  export function assertInstanceOf<T>(
    actual: unknown,
    expected: AbstractConstructor<T>,
    message?: string,
  ): asserts actual is T;
  export function assertThrows<E extends Error = Error>(
    fn: () => unknown,
    kind?: AbstractConstructor<E>,
    messageIncludes?: string,
    message?: string,
  ): E;
  export function assertRejects<E extends Error = Error>(
    fn: () => PromiseLike<unknown>,
    kind?: AbstractConstructor<E>,
    messageIncludes?: string,
    message?: string,
  ): Promise<E>;
}
