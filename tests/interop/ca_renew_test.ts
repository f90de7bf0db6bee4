/** What real QEMUs and openssl make of renewed credentials, beside those from before. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { renewHosts } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { run } from "../support/command.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { connectNbd } from "./ca_nbd.ts";

programTest("a fleet that has expired, CA and all, runs again when it is renewed", [
  "qemu-nbd",
  "qemu-img",
  "openssl",
], async () => {
  using temp = temporaryDirectory();
  const engine = await chooseEngine();
  const clock = daysFromNow(-800);
  const pki = await makePki(temp.path, {
    ...{ clock, days: 400 },
    hosts: [{ name: "a", clock }, { name: "b", clock }],
  });
  const before = await connectNbd(pki.host("a"), pki.host("b"), "a");
  assertEquals(before.ok, false);
  assertStringIncludes(before.server, "has expired");
  const { outcomes } = await renewHosts({ dir: pki.dir, engine, selection: { kind: "due" } });
  assertEquals(outcomes.length, 2);
  assertEquals(await connectNbd(pki.host("a"), pki.host("b"), "a"), {
    ok: true,
    server: "",
    client: "",
  });
  const host = pki.host("a");
  const { code, stderr } = await run("openssl", [
    ...["verify", "-x509_strict", "-crl_check", "-CAfile", `${host}/ca-cert.pem`],
    ...["-CRLfile", `${host}/ca-crl.pem`, `${host}/server-cert.pem`],
  ]);
  assertEquals([code, stderr], [0, ""]);
});

programTest("hosts with the CA's old and its renewed certificate let each other in", [
  "qemu-nbd",
  "qemu-img",
], async () => {
  using temp = temporaryDirectory();
  const engine = await chooseEngine();
  const pki = await makePki(temp.path, { hosts: [{ name: "old" }, { name: "new" }] });
  await renewHosts({
    ...{ dir: pki.dir, engine, authority: true },
    selection: { kind: "hosts", hosts: ["new"] },
  });
  for (const [server, client] of [["old", "new"], ["new", "old"]] as const) {
    const { ok, client: said } = await connectNbd(pki.host(server), pki.host(client), server);
    assertEquals([ok, said], [true, ""], `${server} and ${client}`);
  }
});
