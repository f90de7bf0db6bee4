// What the library says of certificates: hosts, subjects. Every rule is compared in tests/creds.

import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { assertEquals, assertThrows } from "@std/assert";
import { EngineError } from "../../engine/mod.ts";
import { altNames, gnutlsTest, issue } from "./_gnutls.ts";

gnutlsTest("matchHostname() gives the library's answer", async (engine) => {
  const purpose = [new x509.ExtendedKeyUsageExtension(["1.3.6.1.5.5.7.3.2"])];
  const rows: [Parameters<typeof issue>[1], Record<string, boolean>][] = [
    [{ subject: "CN=qemu.org" }, { "qemu.org": true, "QEMU.ORG": true, "qemu.org.": false }],
    [{ subject: "CN=qemu.org", extensions: purpose }, { "qemu.org": false }],
    [{ subject: "CN=a.org, CN=qemu.org" }, { "a.org": false, "qemu.org": false }],
    [{
      subject: "CN=qemu.org",
      extensions: [altNames(["www.qemu.org", "192.168.122.1", "fec0::dead:beaf"])],
    }, {
      "www.qemu.org": true,
      "qemu.org": false,
      "192.168.122.1": true,
      "fec0:0:0:0:0:0:dead:beaf": true,
      "[fec0::dead:beaf]": false,
    }],
    [{ extensions: [altNames(["*.example.org"])] }, {
      "a.example.org": true,
      "a.b.example.org": false,
      "example.org": false,
    }],
  ];
  for (const [options, names] of rows) {
    const der = new Uint8Array((await issue("x", options)).certificate.rawData);
    for (const [name, matches] of Object.entries(names)) {
      assertEquals([name, engine.matchHostname(der, name)], [name, matches]);
    }
  }
});

gnutlsTest("matchHostname() takes no name for what stands before a NUL", async (engine) => {
  const der = new Uint8Array((await issue("qemu.org")).certificate.rawData);
  assertEquals(engine.matchHostname(der, "qemu.org"), true);
  assertEquals(engine.matchHostname(der, "qemu.org\0.evil.org"), false);
});

gnutlsTest("dnText() keeps the order of the encoding", async (engine) => {
  for (
    const [subject, text] of [
      ["C=GB, O=Example Org, L=London, CN=vm1", "C=GB,O=Example Org,L=London,CN=vm1"],
      ["CN=vm1, O=X, C=GB", "CN=vm1,O=X,C=GB"],
      ["O=A\\, Inc, OU=R\\+D", "O=A\\, Inc,OU=R\\+D"],
      ["O=Ünï", "O=Ünï"],
    ] as const
  ) {
    const { certificate } = await issue("x", { subject });
    assertEquals(engine.dnText(new Uint8Array(certificate.rawData)), text);
  }
});

gnutlsTest("certificates that are none are refused", (engine) => {
  for (const bytes of [new Uint8Array(), new Uint8Array(100), Uint8Array.of(0x30, 0x80)]) {
    for (const ask of [() => engine.dnText(bytes), () => engine.matchHostname(bytes, "x")]) {
      assertEquals(assertThrows(ask, EngineError).code, "CERTIFICATE");
    }
  }
});
