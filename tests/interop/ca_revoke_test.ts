/** Real programs refuse who was revoked. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { publishCrl, revokeCertificates } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { run } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { connectNbd } from "./ca_nbd.ts";

programTest("a QEMU server with the new CRL refuses the revoked client and no other", [
  "qemu-nbd",
  "qemu-img",
], async () => {
  using temp = temporaryDirectory();
  const engine = await chooseEngine();
  const pki = await makePki(temp.path, { hosts: [{ name: "s" }, { name: "a" }, { name: "b" }] });
  const reach = (client: string) => connectNbd(pki.host("s"), pki.host(client), "s");
  assertEquals([(await reach("a")).ok, (await reach("b")).ok], [true, true]);
  await revokeCertificates(["a"], "keyCompromise", { dir: pki.dir, engine });
  const refused = await reach("a");
  assertEquals(refused.ok, false);
  assertStringIncludes(refused.server, "The certificate has been revoked");
  assertEquals((await reach("b")).ok, true);
  await publishCrl({ dir: pki.dir, engine, days: 7 });
  assertEquals([(await reach("a")).ok, (await reach("b")).ok], [false, true]);
});

programTest("openssl and certtool see what was revoked, why, and the number of the CRL", [
  "openssl",
  "certtool",
], async () => {
  using temp = temporaryDirectory();
  const engine = await chooseEngine();
  const pki = await makePki(temp.path, { hosts: [{ name: "a" }, { name: "b" }] });
  const { crl } = await revokeCertificates(["a"], "cessationOfOperation", {
    dir: pki.dir,
    engine,
  });
  const text = await run("openssl", ["crl", "-in", crl.file, "-noout", "-text"]);
  assertMatch(text.stdout, new RegExp(`X509v3 CRL Number: \\n +${crl.number}\\n`));
  assertEquals(text.stdout.match(/Cessation Of Operation/g)?.length, 2);
  const signed = ["crl", "-in", crl.file, "-noout", "-CAfile", `${pki.dir}/ca-cert.pem`];
  assertStringIncludes((await run("openssl", signed)).stderr, "verify OK");
  const verify = (host: string) =>
    run("openssl", [
      ...["verify", "-x509_strict", "-crl_check", "-CAfile", `${pki.dir}/ca-cert.pem`],
      ...["-CRLfile", `${pki.host("b")}/ca-crl.pem`, `${pki.host(host)}/client-cert.pem`],
    ]);
  assertStringIncludes((await verify("a")).stderr, "certificate revoked");
  assertEquals((await verify("b")).code, 0);
  const info = await run("certtool", ["--crl-info", "--infile", crl.file]);
  assertStringIncludes(info.stdout, "Revoked certificates (2):");
});
