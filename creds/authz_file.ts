/**
 * QEMU's `authz-list-file` (`authz/listfile.c`): an `authz-list` kept in a file. QEMU up to 10.2
 * names the type one way and its properties another, so that nobody can make one; here both names
 * make it.
 */

import { dirname } from "@std/path";
import { BaseError, type OptionValue, readTextLimited } from "../base/mod.ts";
import { BOOLEAN, type ObjectOptions, optionError, type Schema, STRING } from "./_properties.ts";
import { type Authz, makeAuthzRules } from "./authz.ts";
import { CredsError } from "./error.ts";

/** Properties of `authz-list-file`, which QEMU's schema calls `authz-listfile`. */
export const AUTHZ_FILE_SCHEMA: Schema = { filename: STRING, refresh: BOOLEAN };

/** The most that a list may hold, in bytes. */
const LARGEST = 1024 * 1024;

const FILE_EXAMPLE =
  'a list is {"policy": "deny", "rules": [{"match": "CN=vm*", "policy": "allow", "format": "glob"}]}';

/**
 * Makes an `authz-list-file`. With `refresh`, which is the default, a changed file holds from the
 * next check on; one that cannot be used lets nobody in until it can be, and one that is gone
 * leaves the rules that there were.
 */
export function makeAuthzFile(options: ObjectOptions): Authz {
  const filename = options.text("filename");
  if (filename === undefined) throw optionError("filename", "filename not provided");
  let text = readList(filename);
  let allows: ((identity: string) => boolean) | undefined = parseList(filename, text);
  let fault: string | undefined;
  if (options.flag("refresh", true)) checkPath(filename);

  function refresh(): void {
    try {
      const now = readList(filename!);
      if (now === text && fault === undefined) return;
      text = now;
      allows = parseList(filename!, now);
      fault = undefined;
    } catch (error) {
      if (!(error instanceof CredsError)) throw error;
      const isGone = error.cause instanceof BaseError &&
        error.cause.cause instanceof Deno.errors.NotFound;
      if (isGone) return;
      allows = undefined;
      fault = error.message;
    }
  }

  return {
    id: options.id,
    kind: "authz",
    allows(identity) {
      if (options.flag("refresh", true)) refresh();
      return allows?.(identity) ?? false;
    },
    get fault() {
      return fault;
    },
    [Symbol.dispose]: () => {},
  };
}

/** QEMU watches the directory, so it must be able to name one. */
function checkPath(filename: string): void {
  if (dirname(filename) === ".") {
    throw optionError("filename", "Filename must be an absolute path");
  }
  if (filename.endsWith("/")) {
    throw optionError("filename", "Path has no trailing filename component");
  }
}

function readList(file: string): string {
  try {
    return readTextLimited(file, LARGEST);
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    const cause = error.cause instanceof Deno.errors.NotFound
      ? "No such file or directory"
      : error.facts.cause ?? "Permission denied";
    const text = `Unable to read '${file}': Failed to open file “${file}”: ${cause}`;
    const facts = { option: "filename", file, text, hint: FILE_EXAMPLE };
    throw new CredsError("OBJECT_OPTION", facts, { cause: error });
  }
}

function parseList(file: string, text: string): (identity: string) => boolean {
  const refuse = (why: string) =>
    new CredsError("OBJECT_OPTION", { option: "filename", file, text: why, hint: FILE_EXAMPLE });
  let list: OptionValue;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw refuse(`JSON parse error, in '${file}': ${error instanceof Error ? error.message : ""}`);
  }
  if (typeof list !== "object" || list === null || Array.isArray(list)) {
    throw refuse(`File '${file}' must contain a JSON object`);
  }
  const unknown = Object.keys(list).find((name) => name !== "policy" && name !== "rules");
  if (unknown !== undefined) throw refuse(`Parameter '${unknown}' is unexpected`);
  const { policy = "deny", rules = [] } = list as Record<string, OptionValue>;
  if (policy !== "deny" && policy !== "allow") {
    throw refuse(
      typeof policy === "string"
        ? `Parameter 'policy' does not accept value '${policy}'`
        : "Invalid parameter type for 'policy', expected: string",
    );
  }
  return makeAuthzRules(rules, policy === "allow", true);
}
