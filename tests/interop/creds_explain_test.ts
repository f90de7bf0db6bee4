// `creds explain -` on what real programs write about broken credentials, dated as a log is.

import { assertEquals } from "@std/assert";
import { start } from "../chardev/process.ts";
import { run, virtcreds } from "../support/command.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

programTest("creds explain - annotates what qemu-img and qemu-nbd write", [
  "qemu-img",
  "qemu-nbd",
], async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "vm1.example" }, { name: "late.example", clock: daysFromNow(-400) }],
  });
  const other = await makePki(`${temp.path}/other`, {
    hosts: [{ name: "vm2.example" }],
    name: "X",
  });
  const object = (dir: string, more = "") =>
    `tls-creds-x509,id=t,dir=${dir},endpoint=client${more}`;
  const good = pki.host("vm1.example");
  const load = async (text: string) =>
    (await run("qemu-img", ["info", "--object", text, "--image-opts", "driver=null-co"])).stderr;
  const socket = `${temp.path}/s`;
  await using server = start("qemu-nbd", [
    ...["-k", socket, "--object", `tls-creds-x509,id=t,dir=${good},endpoint=server`],
    ...["--tls-creds", "t", "--persistent", "--image-opts", "driver=null-co,size=1M"],
  ]);
  const reach = async (dir: string, name: string) => {
    const image =
      `driver=nbd,server.type=unix,server.path=${socket},tls-creds=t,tls-hostname=${name}`;
    return (await run("qemu-img", ["info", "--object", object(dir), "--image-opts", image])).stderr;
  };
  for (const begin = Date.now(); Date.now() - begin < 20_000;) {
    if (await Deno.stat(socket).catch(() => undefined)) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const said = [
    await load(object(pki.host("late.example"))),
    await load(object(`${temp.path}/nowhere`)),
    await load(object(good, ",passwordid=none")),
    await reach(good, "192.0.2.1"),
    await reach(other.host("vm2.example"), "vm1.example"),
  ];
  await server.untilErr(/No certificate was found/);
  const lines = (said.join("") + server.stderr()).trimEnd().split("\n");
  const log = lines.map((line, i) => `2026-11-24T09:12:0${i % 10}.123456Z vm1 qemu[42]: ${line}`);
  const { code, stdout } = await virtcreds(["creds", "explain", "-"], {
    stdin: ["up", ...log, "down"].join("\n") + "\n",
  });
  assertEquals(code, 0);
  const rows = stdout.trimEnd().split("\n");
  assertEquals(rows.filter((row) => /^(up|down|2026)/.test(row)), ["up", ...log, "down"]);
  assertEquals(rows.filter((row) => /^[A-Z_]+$/.test(row)), [
    "CERT_EXPIRED",
    "FILE_MISSING",
    "KEY_PASSPHRASE",
    "PEER_HOSTNAME",
    "PEER_NO_ISSUER",
    "PEER_CUT_OFF",
    "PEER_VERIFY",
  ]);
});
