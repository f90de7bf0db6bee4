/** A list of hosts in a file: CSV, JSON, YAML or an Ansible inventory. */

import { readTextLimited, VirtcredsError } from "../base/mod.ts";
import { parseAnsibleHosts } from "./ansible.ts";
import { parseCsv } from "./csv.ts";
import { parseIpAddress } from "../creds/mod.ts";
import { CaError } from "./error.ts";
import { type Role, ROLES } from "./profile.ts";
import { type HostOptions, type HostRequest, parseRequest } from "./request.ts";

/** One row: the host that it asks for, or what is wrong with it. */
export type InventoryRow =
  | { readonly ok: true; readonly where: string; readonly request: HostRequest }
  | { readonly ok: false; readonly where: string; readonly error: VirtcredsError };

/** What holds for every row that says nothing else; names are added to each. */
export type InventoryDefaults = Omit<HostOptions, "host">;

/** The columns, in the order they are shown. */
const COLUMNS = ["host", "dns", "ip", "role", "days", "qemu"] as const;
type Column = typeof COLUMNS[number];

/** A row as its file has it, every value a list of texts. */
interface RawRow {
  readonly where: string;
  readonly values: ReadonlyMap<Column, readonly string[]>;
  /** What is wrong with its form. */
  readonly fault?: string;
}

/** The most rows that are taken. */
const MOST_ROWS = 100_000;

/**
 * Reads an inventory; its form is known by the file's name (`.csv`, `.json`, `.yaml`, `.yml`), and
 * any other is an Ansible inventory. A row that cannot be used is among the rows, with its error.
 *
 * @throws {CaError} `INVENTORY` If the file as a whole cannot be read.
 * @throws {BaseError} `FILE_NOT_FOUND`, `FILE_NOT_READABLE`, `FILE_TOO_LARGE`.
 */
export async function readInventory(
  file: string,
  defaults: InventoryDefaults = {},
): Promise<InventoryRow[]> {
  const rows = await readRows(file, readTextLimited(file).replace(/^\ufeff/, ""));
  if (rows.length > MOST_ROWS) {
    throw refuse(file, `it has ${rows.length} hosts, more than ${MOST_ROWS}`);
  }
  const form = formOf(file);
  const seen = new Map<string, string>();
  return rows.map((row) => {
    try {
      const request = parseRequest(optionsOf(row, form, defaults));
      const earlier = seen.get(request.host.text);
      if (earlier !== undefined) {
        throw new CaError("ROW", {
          cause: `${request.host.text} is there already, at ${earlier}`,
          hint: "name each host once",
        });
      }
      seen.set(request.host.text, row.where);
      return { ok: true, where: row.where, request };
    } catch (error) {
      if (!(error instanceof VirtcredsError)) throw error;
      return { ok: false, where: row.where, error };
    }
  });
}

async function readRows(file: string, text: string): Promise<RawRow[]> {
  if (text.includes("-----BEGIN ")) {
    throw new CaError("INVENTORY", {
      file,
      cause: "it is PEM, a key or a certificate",
      hint: "name the file that lists the hosts",
    });
  }
  const form = formOf(file);
  if (form === "csv") return rowsOfCsv(file, text);
  if (form === "ansible") return rowsOfAnsible(file, text);
  let data: unknown;
  try {
    data = form === "json" ? JSON.parse(text) : (await import("@std/yaml")).parse(text);
  } catch (error) {
    const [cause = ""] = String(error instanceof Error ? error.message : error).split("\n");
    // V8 quotes what stands there, which may be a secret in a file that is no inventory.
    throw refuse(
      file,
      cause.replace(/, (?:\.{3})?".*"(?:\.{3})? is not valid JSON$/s, " is not valid JSON").replace(
        /:$/,
        "",
      ),
    );
  }
  return rowsOfData(file, data);
}

function rowsOfCsv(file: string, text: string): RawRow[] {
  const records = parseCsv(text);
  if (!Array.isArray(records)) {
    throw refuse(file, `a quote is out of place on line ${records.line}`);
  }
  const [header, ...rest] = records;
  if (header === undefined) throw refuse(file, "it is empty");
  const columns = header.fields.map((name) => name.toLowerCase());
  const unknown = columns.find((name) => !isColumn(name));
  if (unknown !== undefined) throw refuse(file, `'${unknown}' is none of ${COLUMNS.join(", ")}`);
  if (!columns.includes("host")) throw refuse(file, "its first line has no column host");
  return rest.map(({ line, fields }) => {
    const values = new Map(
      fields.slice(0, columns.length).map((text, i) => [columns[i] as Column, split(text)]),
    );
    const fault = fields.length > columns.length
      ? `it has ${fields.length} fields, the first line has ${columns.length}`
      : undefined;
    return { where: `${file}:${line}`, values, ...(fault === undefined ? {} : { fault }) };
  });
}

function rowsOfAnsible(file: string, text: string): RawRow[] {
  const hosts = parseAnsibleHosts(text);
  if (!Array.isArray(hosts)) throw refuse(file, `line ${hosts.line}: ${hosts.cause}`);
  return hosts.map(({ line, host, variables }) => {
    const values = new Map<Column, string[]>([["host", [host]]]);
    for (const column of COLUMNS) {
      const value = variables.get(`virtcreds_${column}`);
      if (value !== undefined) values.set(column, split(value));
    }
    const address = variables.get("ansible_host");
    if (address !== undefined && address !== host) {
      const column = parseIpAddress(address) === undefined ? "dns" : "ip";
      values.set(column, [...values.get(column) ?? [], address]);
    }
    return { where: `${file}:${line}`, values };
  });
}

/** A list of hosts, alone or under `hosts`; or their names with what is said of each. */
function rowsOfData(file: string, data: unknown): RawRow[] {
  const inner = isObject(data) && "hosts" in data ? data.hosts : data;
  if (Array.isArray(inner)) {
    return inner.map((entry, i) =>
      rowOf(`${file}: host ${i + 1}`, typeof entry === "object" ? entry : { host: entry })
    );
  }
  if (!isObject(inner)) throw refuse(file, "it is no list of hosts");
  return Object.entries(inner).map(([host, entry]) =>
    rowOf(`${file}: ${host}`, isObject(entry ?? {}) ? { host, ...entry as object } : entry)
  );
}

function rowOf(where: string, entry: unknown): RawRow {
  const values = new Map<Column, string[]>();
  if (!isObject(entry)) return { where, values, fault: "it is no object" };
  for (const [name, value] of Object.entries(entry)) {
    if (!isColumn(name)) {
      return { where, values, fault: `'${name}' is none of ${COLUMNS.join(", ")}` };
    }
    if (value === null) continue;
    const list = Array.isArray(value) ? value : [value];
    if (!list.every((one) => typeof one === "string" || typeof one === "number")) {
      return { where, values, fault: `its ${name} is neither a text nor a list of texts` };
    }
    values.set(name, list.flatMap((one) => split(String(one))));
  }
  return { where, values };
}

/** What a row may say, in the terms of its form. */
const ROW_HINTS: Readonly<Record<Form, string>> = {
  csv: `the columns are ${COLUMNS.join(", ")}; ; parts a list`,
  json: `the members are ${COLUMNS.join(", ")}; more than one value is a list`,
  yaml: `the members are ${COLUMNS.join(", ")}; more than one value is a list`,
  ansible: `the variables are ansible_host and ${
    COLUMNS.slice(1).map((column) => `virtcreds_${column}`).join(", ")
  }; ; parts a list`,
};

function optionsOf(
  { values, fault }: RawRow,
  form: Form,
  defaults: InventoryDefaults,
): HostOptions {
  const bad = (cause: string) => new CaError("ROW", { cause, hint: ROW_HINTS[form] });
  if (fault !== undefined) throw bad(fault);
  const one = (column: Column): string | undefined => {
    const list = values.get(column) ?? [];
    if (list.length > 1) throw bad(`its ${column} has more than one value`);
    return list[0];
  };
  const host = one("host");
  if (host === undefined) throw bad("it has no host");
  const roles = values.get("role") ?? [];
  const odd = roles.find((role) => !ROLES.includes(role as Role));
  if (odd !== undefined) throw bad(`its role '${odd}' is neither server nor client`);
  const days = one("days");
  if (days !== undefined && !/^\d{1,6}$/.test(days)) throw bad(`its days '${days}' are no number`);
  const qemu = one("qemu");
  return {
    ...defaults,
    host,
    dns: [...defaults.dns ?? [], ...values.get("dns") ?? []],
    ip: [...defaults.ip ?? [], ...values.get("ip") ?? []],
    ...(roles.length === 0 ? {} : { roles: roles as Role[] }),
    ...(days === undefined ? {} : { days: Number(days) }),
    ...(qemu === undefined || qemu === "all" ? {} : { qemu }),
  };
}

function split(text: string): string[] {
  return text.split(";").map((part) => part.trim()).filter((part) => part !== "");
}

function isColumn(name: string): name is Column {
  return (COLUMNS as readonly string[]).includes(name);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What an inventory of each form looks like. */
const EXAMPLES = {
  csv: `a CSV inventory begins with ${COLUMNS.join(",")} or a part of that`,
  json: 'a JSON inventory is a list: [{"host": "vm1.example", "ip": ["192.0.2.7"], "days": 90}]',
  yaml: "a YAML inventory is a list: - {host: vm1.example, ip: [192.0.2.7], days: 90}",
  ansible: "by its name it is an Ansible inventory: one host a line, as in " +
    "vm1.example ansible_host=192.0.2.7; other forms end in .csv, .json or .yaml",
} as const;

type Form = keyof typeof EXAMPLES;

function formOf(file: string): Form {
  const [, ending] = /\.(csv|json|ya?ml)$/i.exec(file.toLowerCase()) ?? [];
  return ending === undefined ? "ansible" : ending === "yml" ? "yaml" : ending as Form;
}

function refuse(file: string, cause: string): CaError {
  return new CaError("INVENTORY", { file, cause, hint: EXAMPLES[formOf(file)] });
}
