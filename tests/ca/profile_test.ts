import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { decodePem } from "../../base/mod.ts";
import { CaError, type HostOptions, initAuthority, issueHost, parseSubject } from "../../ca/mod.ts";
import { checkPermitted, parseDomain, parseNetwork, subtreeText } from "../../ca/constraints.ts";
import { parseDnsName, parseHostName } from "../../ca/host_name.ts";
import { checkCredentials, parseCertificate } from "../../creds/mod.ts";
import { chooseEngine, KEY_TYPES } from "../../engine/mod.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();

function certificateIn(file: string) {
  return parseCertificate(decodePem(Deno.readTextFileSync(file))[0]!.der);
}

for (const keyType of KEY_TYPES.filter((type) => !/3072|4096/.test(type))) {
  Deno.test(`issueHost() makes every extension as RFC 5280 would have it when strict, ${keyType}`, async () => {
    using temp = temporaryDirectory();
    const dir = `${temp.path}/pki`;
    await initAuthority({ dir, engine });
    const { dir: host } = await issueHost({ dir, engine, host: "h", keyType, profile: "strict" });
    const isRsa = keyType.startsWith("rsa-");
    const { keyUsage, extendedKeyUsage, subjectAltName } = certificateIn(`${host}/server-cert.pem`);
    assertEquals(keyUsage, {
      critical: true,
      usages: isRsa ? ["digitalSignature", "keyEncipherment"] : ["digitalSignature"],
    });
    assertEquals([extendedKeyUsage?.critical, subjectAltName?.critical], [false, false]);
    const refusing = (await checkCredentials(host, { engine, endpoint: "server" }))
      .filter((verdict) => !verdict.ok).map((verdict) => verdict.qemu);
    assertEquals(refusing, isRsa ? [] : ["2.5-7.2.21", "8.0-10.1.2"]);
  });
}

Deno.test("parseSubject() reads attributes in their order, commas and backslashes escaped", () => {
  assertEquals(parseSubject("C=CH,ST=ZH,L=Rack 7,O=Acme\\, Inc.,ou=a\\\\,DC=example"), [
    ["C", "CH"],
    ["ST", "ZH"],
    ["L", "Rack 7"],
    ["O", "Acme, Inc."],
    ["OU", "a\\"],
    ["DC", "example"],
  ]);
  for (
    const [text, cause] of [
      ["", "an attribute of it is empty"],
      ["O=a,", "an attribute of it is empty"],
      ["O=", "an attribute of it is empty"],
      ["O", "'O' has not the form TYPE=VALUE"],
      ["X=y", "X is none of C, L, ST, O, OU, DC"],
      ["toString=y", "toString is none of C, L, ST, O, OU, DC"],
      ["CN=h", "the CN is the host's name or what --name says"],
      ["C=ch", "its C is no country code of two capital letters"],
      [`O=${"x".repeat(65)}`, "its O has 65 characters, more than 64"],
      ["O=a\nb", "it has a control character"],
      ["DC=ü", "its DC is not ASCII"],
    ] as const
  ) {
    const error = assertThrows(() => parseSubject(text), CaError, undefined, text);
    assertEquals([error.code, error.facts.cause, error.exitCode], ["SUBJECT", cause, 2], text);
  }
});

Deno.test("initAuthority() and issueHost() put a template before the CN", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/pki`;
  const { files } = await initAuthority({ dir, engine, name: "Root", subject: "C=CH,O=Exämple" });
  assertEquals(certificateIn(files.certificate).subject.text, "C=CH,O=Exämple,CN=Root");
  const subject = "O=Acme\\, Inc.,L=Rack 7,DC=example";
  const issued = await issueHost({ dir, engine, host: "h", subject });
  const { subject: name } = certificateIn(issued.certificates[0]!.certificate);
  assertEquals(name.text, "O=Acme\\, Inc.,L=Rack 7,DC=example,CN=h");
});

Deno.test("issueHost() takes a wildcard only when it is allowed, and only as the first label", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/pki`;
  await initAuthority({ dir, engine });
  const issue = (dns: string, allowWildcard: boolean) =>
    issueHost({ dir, engine, host: "h", dns: [dns], allowWildcard });
  assertEquals((await issue("*.Example.com", true)).dns, ["h", "*.example.com"]);
  await assertRejects(() => issue("*.example.com", false), CaError, "it has a wildcard");
  for (const name of ["*", "*.com", "a.*.com", "*a.example.com", "*.*.example.com", "*..com"]) {
    await assertRejects(() => issue(name, true), CaError, "is not a DNS name", name);
  }
  assertThrows(() => parseHostName("*.example.com"), CaError, "it has a wildcard");
});

Deno.test("parseNetwork() reads networks of both kinds, and says which one an address lies in", () => {
  for (
    const [text, shown = text] of [
      ["192.0.2.0/24"],
      ["192.0.2.7", "192.0.2.7/32"],
      ["0.0.0.0/0"],
      ["10.128.0.0/9"],
      ["2001:DB8::/33", "2001:db8::/33"],
      ["::1", "::1/128"],
    ] as const
  ) assertEquals(subtreeText(parseNetwork(text)), shown);
  const within = assertThrows(() => parseNetwork("192.0.2.7/24"), CaError);
  assertEquals(within.facts.hint, "write --permit-ip 192.0.2.0/24");
  for (const text of ["", "x", "192.0.2.0/33", "::/129", "1.2.3.4/-1", "1.2.3.4/24/24"]) {
    assertThrows(() => parseNetwork(text), CaError, "--permit-ip", text);
  }
  assertThrows(() => parseDomain("a_b"), CaError, "--permit-dns 'a_b' is not a DNS name");
});

Deno.test("checkPermitted() holds every name against the constraints of its kind", () => {
  const rack = {
    permitted: [parseDomain(".rack7.example"), parseNetwork("192.0.2.0/25")],
    excluded: [parseDomain("old.rack7.example")],
  };
  const check = (name: string, constraints = rack) =>
    checkPermitted([parseHostName(name)], constraints);
  for (const name of ["rack7.example", "vm1.rack7.example", "192.0.2.127"]) check(name);
  checkPermitted([parseDnsName("*.rack7.example", "--dns", true)], rack);
  for (
    const [name, cause] of [
      ["vm1.example", "it is permitted rack7.example"],
      ["notrack7.example", "it is permitted rack7.example"],
      ["192.0.2.128", "it is permitted 192.0.2.0/25"],
      ["::1", "it is permitted 192.0.2.0/25"],
      ["vm1.old.rack7.example", "old.rack7.example is excluded"],
    ] as const
  ) {
    const error = assertThrows(() => check(name), CaError);
    assertEquals(error.message, `this CA may not vouch for ${name}: ${cause}`);
  }
  check("192.0.2.200", { permitted: [parseDomain("example")], excluded: [] });
});

Deno.test("issueHost() issues within the constraints of its CA alone, with a CN that fits them", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/pki`;
  await initAuthority({
    dir,
    engine,
    permitDns: ["rack7.example"],
    permitIp: ["192.0.2.0/24", "2001:db8::/32"],
  });
  const extension = certificateIn(`${dir}/ca-cert.pem`).extensions
    .find((one) => one.oid === "2.5.29.30");
  assertEquals(extension?.critical, true);
  const issue = (options: HostOptions) => issueHost({ dir, engine, ...options });
  const named = await issue({ host: "vm1.rack7.example", ip: ["192.0.2.1", "2001:db8::1"] });
  assertEquals(named.named, true);
  assertEquals((await issue({ host: "192.0.2.9" })).named, false);
  assertEquals((await issue({ host: "192.0.2.9", dns: ["vm9.rack7.example"] })).named, true);
  for (const options of [{ host: "vm1" }, { host: "192.0.3.1" }, { host: "2001:db9::1" }]) {
    const error = await assertRejects(() => issue(options), CaError);
    assertEquals([error.code, error.exitCode], ["NAME_NOT_PERMITTED", 1]);
  }
});
