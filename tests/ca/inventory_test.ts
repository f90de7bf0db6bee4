import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { parseAnsibleHosts } from "../../ca/ansible.ts";
import { parseCsv } from "../../ca/csv.ts";
import { CaError, type InventoryDefaults, readInventory } from "../../ca/mod.ts";
import { soakCount } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

Deno.test("parseCsv() gives each record with its line, whatever is quoted", () => {
  assertEquals(parseCsv('a,b\r\n\n# no\n "x,""y""\nz" , 2 \n3,\n'), [
    { line: 1, fields: ["a", "b"] },
    { line: 4, fields: ['x,"y"\nz', "2"] },
    { line: 6, fields: ["3", ""] },
  ]);
  assertEquals(parseCsv("a,"), [{ line: 1, fields: ["a", ""] }]);
  assertEquals(parseCsv(""), []);
  for (const text of ['a\n"b', 'a\nb"c', 'a\n"b"c,d']) assertEquals(parseCsv(text), { line: 2 });
});

Deno.test("parseCsv() reads back every record that was written", () => {
  const field = fc.string().map((text) => text.replaceAll("\r", ""));
  fc.assert(
    fc.property(fc.array(fc.array(field, { minLength: 2 }), { minLength: 1 }), (records) => {
      const write = (fields: string[]) =>
        fields.map((text) => `"${text.replaceAll('"', '""')}"`).join();
      const read = parseCsv(records.map(write).join("\n"));
      assertEquals(Array.isArray(read) && read.map(({ fields }) => fields), records);
    }),
    { numRuns: soakCount(2000) },
  );
});

Deno.test("parseCsv(), parseAnsibleHosts() and readInventory() survive any text", async () => {
  using temp = temporaryDirectory();
  const piece = fc.constantFrom(
    '"',
    ",",
    "\n",
    "[",
    "]",
    ":",
    "=",
    "host",
    "1",
    "'",
    " ",
    "#",
    ";",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece).map((list) => list.join("")), async (text) => {
      parseCsv(text);
      parseAnsibleHosts(text);
      for (const form of ["csv", "json", "yaml", "ini"]) {
        Deno.writeTextFileSync(`${temp.path}/i.${form}`, text);
        await readInventory(`${temp.path}/i.${form}`).catch((error) => {
          if (!(error instanceof CaError)) throw error;
        });
      }
    }),
    { numRuns: soakCount(2000) },
  );
});

Deno.test("parseAnsibleHosts() reads groups, ranges, quotes and ports", () => {
  const text = [
    "vm0 a=1",
    "[rack]",
    "vm[01:03].example:22 ansible_host='192.0.2.1' b=\"x y\" # c=3",
    "vm0 c=2",
    "[rack:vars]",
    "no=1",
    "[all:children]",
    "rack",
    "[other] # yes",
    "n[a:b]x[0:4:2]",
  ].join("\n");
  const hosts = parseAnsibleHosts(text);
  assertEquals(
    Array.isArray(hosts) &&
      hosts.map(({ line, host, variables }) => [line, host, [...variables].flat().join(" ")]),
    [
      [1, "vm0", "a 1 c 2"],
      ...["01", "02", "03"].map((number) => [
        3,
        `vm${number}.example`,
        "ansible_host 192.0.2.1 b x y",
      ]),
      ...["nax0", "nax2", "nax4", "nbx0", "nbx2", "nbx4"].map((host) => [10, host, ""]),
    ],
  );
  for (const line of ["vm[3:1]", "vm[", "vm[a:9]", "vm[0:99999999]", "vm a='x"]) {
    assertEquals(Array.isArray(parseAnsibleHosts(`ok\n${line}`)), false, line);
  }
});

const TWO = [
  ["vm1.example", ["vm1.example", "vm1", "vm1.lan"], ["192.0.2.1", "2001:db8::1"], "server", 90],
  ["192.0.2.9", [], ["192.0.2.9"], "server,client", 365],
];

/** The same two hosts in every form. */
const FORMS: Readonly<Record<string, string>> = {
  "csv":
    "Host,dns,ip,role,days,qemu\nvm1.example,vm1;vm1.lan,192.0.2.1; 2001:DB8::1,server,90,7.2\n192.0.2.9\n",
  "json": JSON.stringify([
    {
      host: "vm1.example",
      dns: ["vm1", "vm1.lan"],
      ip: "192.0.2.1;2001:db8::1",
      role: "server",
      days: 90,
      qemu: "7.2",
    },
    "192.0.2.9",
  ]),
  "yaml": [
    "hosts:",
    "  vm1.example:",
    "    dns: [vm1, vm1.lan]",
    "    ip: [192.0.2.1, '2001:db8::1']",
    "    role: server",
    "    days: 90",
    "    qemu: 7.2",
    "  192.0.2.9:",
  ].join("\n"),
  "yml":
    "- host: vm1.example\n  dns: vm1;vm1.lan\n  ip: 192.0.2.1;2001:db8::1\n  role: server\n  days: 90\n  qemu: 7.2\n- host: 192.0.2.9\n",
  "ini":
    "[vms]\nvm1.example virtcreds_dns='vm1;vm1.lan' ansible_host=192.0.2.1 virtcreds_ip=2001:db8::1 virtcreds_role=server virtcreds_days=90 virtcreds_qemu=7.2\n192.0.2.9 ansible_user=root\n",
};

for (const [form, text] of Object.entries(FORMS)) {
  Deno.test(`readInventory() reads hosts from ${form}`, async () => {
    using temp = temporaryDirectory();
    const file = `${temp.path}/hosts.${form}`;
    Deno.writeTextFileSync(file, text);
    const rows = await readInventory(file);
    const shown = rows.map((row) => {
      if (!row.ok) return row.error.message;
      const { host, names, roles, days, qemu } = row.request;
      const textOf = (kind: string) => names.filter((n) => n.kind === kind).map((n) => n.text);
      assertEquals(qemu?.name, host.kind === "dns" ? "7.2" : undefined);
      return [host.text, textOf("dns"), textOf("ip").sort(), roles.join(), days];
    });
    assertEquals(shown, TWO);
  });
}

async function faults(name: string, text: string, defaults: InventoryDefaults = {}) {
  using temp = temporaryDirectory();
  Deno.writeTextFileSync(`${temp.path}/${name}`, text);
  const rows = await readInventory(`${temp.path}/${name}`, defaults);
  return rows.filter((row) => !row.ok)
    .map((row) => [row.where, row.error.message].map((text) => text.replace(`${temp.path}/`, "")));
}

Deno.test("readInventory() names each row that cannot be used, and what is wrong with it", async () => {
  assertEquals(
    await faults(
      "h.csv",
      "host,role,days,qemu\na b\ngood\n\nGOOD\nx,peer\ny,,soon\nz,,0\nq,,,1.0\nw,,,,more\n,server\nv;u\n",
    ),
    [
      ["h.csv:2", "'a b' is not a host name: it has a space"],
      ["h.csv:5", "good is there already, at h.csv:3"],
      ["h.csv:6", "its role 'peer' is neither server nor client"],
      ["h.csv:7", "its days 'soon' are no number"],
      [
        "h.csv:8",
        "cannot make a certificate for 0 days: it has to be a whole number from 1 to 36500",
      ],
      ["h.csv:9", "unknown QEMU version '1.0'"],
      ["h.csv:10", "it has 5 fields, the first line has 4"],
      ["h.csv:11", "it has no host"],
      ["h.csv:12", "its host has more than one value"],
    ],
  );
  assertEquals(await faults("h.json", '[{"host":"a","dnss":"b"},{"host":"b","ip":[{}]},[],null]'), [
    ["h.json: host 1", "'dnss' is none of host, dns, ip, role, days, qemu"],
    ["h.json: host 2", "its ip is neither a text nor a list of texts"],
    ["h.json: host 3", "it is no object"],
    ["h.json: host 4", "it is no object"],
  ]);
  assertEquals(await faults("h.yaml", "a: 1\nb:\n  ip: host\n"), [
    ["h.yaml: a", "it is no object"],
    ["h.yaml: b", "--ip 'host' is not an IP address: it is no IPv4 or IPv6 literal"],
  ]);
});

Deno.test("readInventory() refuses a file that is no inventory, saying why", async () => {
  for (
    const [name, text, cause] of [
      ["h.csv", "", "it is empty"],
      ["h.csv", "name,dns\n", "'name' is none of host, dns, ip, role, days, qemu"],
      ["h.csv", "dns,ip\n", "its first line has no column host"],
      ["h.csv", 'host\n"a\n', "a quote is out of place on line 2"],
      ["h.json", "3", "it is no list of hosts"],
      ["h.ini", "vm[3:1]\n", "line 1: cannot expand vm[3:1]"],
    ] as const
  ) {
    const error = await assertRejects(() => faults(name, text), CaError);
    assertEquals([error.code, error.facts.cause], ["INVENTORY", cause]);
  }
  for (const [name, text] of [["h.json", "{"], ["h.yaml", "a: ["]] as const) {
    const error = await assertRejects(() => faults(name, text), CaError);
    assertEquals([error.code, error.message.includes("\n")], ["INVENTORY", false]);
  }
});

/** A broken file and a broken row of each form, and what their advice speaks of. */
const ADVICE: readonly (readonly [file: string, broken: string, row: string, advice: RegExp])[] = [
  ["a.csv", "x", "host,role\nvm1,boss\n", /columns|begins with host,dns/],
  ["a.json", "{", '[{"host":"vm1","role":"boss"}]', /JSON|members/],
  ["a.yaml", "[", "- {host: vm1, role: boss}", /YAML|members/],
  ["a.yml", "[", "- {host: vm1, role: boss}", /YAML|members/],
  ["hosts", "vm[", "vm1 virtcreds_role=boss", /Ansible|virtcreds_role/],
];

for (const [name, broken, row, advice] of ADVICE) {
  Deno.test(`readInventory() advises in the terms of the form of ${name}`, async () => {
    using temp = temporaryDirectory();
    const file = `${temp.path}/${name}`;
    Deno.writeTextFileSync(file, broken);
    const refused = await assertRejects(() => readInventory(file), CaError);
    assertMatch(refused.hints.join(), advice);
    Deno.writeTextFileSync(file, row);
    const [first] = await readInventory(file);
    assertMatch(first!.ok ? "" : first!.error.hints.join(), advice);
  });
}

Deno.test("readInventory() refuses a key that is given for a list, and shows nothing of it", async () => {
  using temp = temporaryDirectory();
  const line = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";
  const pem = `-----BEGIN PRIVATE KEY-----\n${line}\n-----END PRIVATE KEY-----\n`;
  const texts = [pem, `host\n${pem}`, `[all]\n${pem}`];
  for (const name of ["key.pem", "hosts.csv", "hosts.json", "hosts.yaml", "hosts.ini"]) {
    for (const text of texts) {
      const file = `${temp.path}/${name}`;
      Deno.writeTextFileSync(file, text);
      const error = await assertRejects(() => readInventory(file), CaError, "it is PEM");
      assert(!String(error).includes(line.slice(0, 8)), name);
    }
  }
});

Deno.test("readInventory() quotes nothing of a file that is no JSON", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/hosts.json`;
  Deno.writeTextFileSync(file, '{"host": hunter2hunter2}');
  const error = await assertRejects(() => readInventory(file), CaError, "is not valid JSON");
  assert(!error.message.includes("hunter2"), error.message);
});
