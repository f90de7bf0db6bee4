import { assertEquals } from "@std/assert";
import { der, derOid, derSequence, Tag } from "../../base/mod.ts";
import { type CertificateSpec } from "../support/certificates.ts";
import { authority, chain, host, outcome } from "./paths.ts";

/** Kind of constraint, its base, a name of the host, and whether it may have that. */
const NAMES: readonly (readonly [
  list: "permitted" | "excluded",
  base: Uint8Array,
  spec: Partial<CertificateSpec>,
  isFine: boolean,
])[] = [
  ["permitted", dns("example.org"), { dns: ["vm1.example.org"] }, true],
  ["permitted", dns("example.org"), { dns: ["example.org", "EXAMPLE.org"] }, true],
  ["permitted", dns("example.org"), { dns: ["badexample.org"] }, false],
  ["permitted", dns("example.org"), { dns: ["vm1.example.org", "vm1.example.com"] }, false],
  ["permitted", dns("example.org"), { dns: ["*.example.org"] }, true],
  ["permitted", dns("vm1.example.org"), { dns: ["*.example.org"] }, false],
  ["permitted", dns("example.org"), { dns: [], ip: ["192.0.2.1"] }, true],
  ["excluded", dns("example.org"), { dns: ["vm1.example.org"] }, false],
  ["excluded", dns("vm1.example.org"), { dns: ["*.example.org"] }, false],
  ["excluded", dns("a.vm1.example.org"), { dns: ["*.example.org"] }, true],
  ["excluded", dns(""), { dns: ["vm1.example.org"] }, false],
  ["permitted", dns(".example.org"), { dns: ["vm1.example.org"] }, false],
  ["permitted", dns("*.example.org"), { dns: ["vm1.example.org"] }, false],
  ["permitted", ip("c0000200ffffff00"), { dns: [], ip: ["192.0.2.7"] }, true],
  ["permitted", ip("c0000200ffffff00"), { dns: [], ip: ["192.0.3.7"] }, false],
  ["permitted", ip("c0000200ffffff00"), { dns: [], ip: ["2001:db8::1"] }, true],
  ["excluded", ip("00000000000000000000000000000000".repeat(2)), { dns: [], ip: ["::1"] }, false],
  ["permitted", ip("c0000200ff00ff00"), { dns: [], ip: ["192.0.2.7"] }, false],
  ["permitted", ip("c0000200"), { dns: [], ip: ["192.0.2.7"] }, false],
  ["permitted", uri("example.org"), { dns: [], uri: ["https://example.org:8/x"] }, true],
  ["permitted", uri("example.org"), { dns: [], uri: ["https://vm1.example.org/"] }, false],
  ["permitted", uri(".example.org"), { dns: [], uri: ["https://u@vm1.example.org"] }, true],
  ["permitted", uri("example.org"), { dns: [], uri: ["urn:example.org"] }, false],
  ["permitted", uri("example.org"), { dns: [], uri: ["https://192.0.2.1/"] }, false],
  ["excluded", uri("example.org"), { dns: [], uri: ["https://[::1]/"] }, false],
  ["permitted", directory("CN=root"), { subject: "CN=ROOT , CN=host" }, true],
  ["permitted", directory("CN=root"), { subject: "CN=host" }, false],
  ["excluded", directory("CN=host"), { subject: "CN=Host, OU=x" }, false],
  ["permitted", email("example.org"), { subject: "CN=host, E=me@example.org" }, true],
  ["permitted", email("example.org"), { subject: "CN=host, E=me@vm1.example.org" }, false],
  ["permitted", email(".example.org"), { subject: "CN=host, E=me@vm1.example.org" }, true],
  ["permitted", email("me@example.org"), { subject: "CN=host, E=ME@example.org" }, false],
  ["excluded", email("example.org"), { subject: "CN=host, E=x" }, false],
];

function dns(name: string): Uint8Array {
  return der(0x82, new TextEncoder().encode(name));
}
function email(name: string): Uint8Array {
  return der(0x81, new TextEncoder().encode(name));
}
function uri(name: string): Uint8Array {
  return der(0x86, new TextEncoder().encode(name));
}
function ip(hex: string): Uint8Array {
  return der(0x87, Uint8Array.fromHex(hex));
}
function directory(name: string): Uint8Array {
  const value = der(Tag.UTF8_STRING, new TextEncoder().encode(name.replace("CN=", "")));
  return der(0xa4, derSequence(der(Tag.SET, derSequence(derOid("2.5.4.3"), value))));
}

function constrained(list: "permitted" | "excluded", ...bases: Uint8Array[]) {
  const tag = list === "permitted" ? 0xa0 : 0xa1;
  const value = derSequence(der(tag, ...bases.map((base) => derSequence(base))));
  return { extensions: [{ oid: "2.5.29.30", critical: true, value }] };
}

Deno.test("validatePath() holds every form of name against the constraints of every authority", async () => {
  for (const [list, base, spec, isFine] of NAMES) {
    for (const who of ["root", "b"] as const) {
      // Only the host's own name is to be out of bounds.
      const subject = who === "root" && base[0] === 0xa4 ? { subject: "CN=root" } : {};
      if (subject.subject && list === "permitted" && who === "root") continue;
      const made = await chain({ [who]: constrained(list, base), host: spec });
      const said = outcome(made.leaf, [made.root], made.pool);
      const row = `${list} ${base.toHex()} of ${who}: ${JSON.stringify(spec)}: ${said}`;
      assertEquals(said.includes("<"), isFine, row);
      if (!isFine) assertEquals(said, "name-constraints", row);
    }
  }
});

Deno.test("validatePath() does not hold constraints against an authority's own change of keys", async () => {
  const parent = await authority(
    "CN=root",
    1,
    undefined,
    constrained("permitted", directory("CN=host")),
  );
  const own = await authority("CN=root", 9, parent);
  assertEquals(outcome(await host(own), [parent], [own]), "CN=host < CN=root < CN=root");
  const other = await authority("CN=a", 9, parent);
  assertEquals(outcome(await host(other), [parent], [other]), "name-constraints");
});
