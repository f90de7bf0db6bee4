/** The hosts of an Ansible inventory in INI form. */

/** One host with its variables. */
export interface AnsibleHost {
  /** Line of the file, from 1. */
  readonly line: number;
  readonly host: string;
  readonly variables: ReadonlyMap<string, string>;
}

/** The most hosts that one pattern may stand for. */
const LARGEST_RANGE = 10_000;

/**
 * Reads the hosts of all groups. A host of several groups is one, with the variables of all its
 * lines; sections of variables and of groups of groups have none.
 *
 * @returns The hosts, or the first line that is none.
 */
export function parseAnsibleHosts(
  text: string,
): AnsibleHost[] | { readonly line: number; readonly cause: string } {
  const hosts = new Map<string, { line: number; host: string; variables: Map<string, string> }>();
  let skipped = false;
  for (const [i, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    const section = /^\[([^\]]+)\]\s*(?:#.*)?$/.exec(line);
    if (section !== null) {
      skipped = /:(vars|children)$/.test(section[1]!);
      continue;
    }
    if (skipped) continue;
    const words = splitWords(line);
    if (words === undefined) return { line: i + 1, cause: "a quote is not closed" };
    const [pattern, ...settings] = words;
    const names = expand(pattern!.replace(/^((?:[^:[\]]|\[[^\]]*\])+):\d+$/, "$1"));
    if (names === undefined) return { line: i + 1, cause: `cannot expand ${pattern}` };
    const variables = settings.map((setting) => {
      const at = setting.indexOf("=");
      return [setting.slice(0, at), setting.slice(at + 1)] as const;
    });
    for (const host of names) {
      const known = hosts.get(host) ?? { line: i + 1, host, variables: new Map() };
      for (const [name, value] of variables) known.variables.set(name, value);
      hosts.set(host, known);
    }
  }
  return [...hosts.values()];
}

/** Splits at blanks, as a shell does with quotes; a `#` behind a blank begins a comment. */
function splitWords(line: string): string[] | undefined {
  const words = line.match(/(?:[^\s"']|"[^"]*"|'[^']*')+|["']/g) ?? [];
  const comment = words.findIndex((word) => word.startsWith("#"));
  const used = comment < 0 ? words : words.slice(0, comment);
  if (used.some((word) => word === '"' || word === "'")) return undefined;
  return used.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"));
}

/** Expands ranges: `vm[01:03]`, `vm[a:c]`, `vm[0:8:2]`. */
function expand(pattern: string): string[] | undefined {
  const match = /^([^[\]]*)\[(\w+):(\w+)(?::(\d{1,6}))?\](.*)$/.exec(pattern);
  if (match === null) return /[[\]]/.test(pattern) && !isIpLiteral(pattern) ? undefined : [pattern];
  const [, before, first = "", last = "", step = "1", after = ""] = match;
  const values = range(first, last, Number(step));
  const rest = expand(after);
  if (values === undefined || rest === undefined) return undefined;
  if (values.length * rest.length > LARGEST_RANGE) return undefined;
  return values.flatMap((value) => rest.map((end) => `${before}${value}${end}`));
}

function isIpLiteral(pattern: string): boolean {
  return /^\[[0-9a-fA-F:.]+\]/.test(pattern);
}

function range(first: string, last: string, step: number): string[] | undefined {
  const isNumber = /^\d{1,9}$/.test(first) && /^\d{1,9}$/.test(last);
  const isLetter = /^[a-z]$/.test(first) && /^[a-z]$/.test(last);
  if (!isNumber && !isLetter || step < 1) return undefined;
  const [from, to] = isNumber
    ? [Number(first), Number(last)]
    : [first.charCodeAt(0), last.charCodeAt(0)];
  if (to < from || (to - from) / step > LARGEST_RANGE) return undefined;
  const values: string[] = [];
  for (let value = from; value <= to; value += step) {
    values.push(
      isNumber ? String(value).padStart(first.length, "0") : String.fromCharCode(value),
    );
  }
  return values;
}
