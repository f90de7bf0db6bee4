/** What `judgeMatrix()` makes of hosts that have several pairs of certificate and key. */

import { assertEquals } from "@std/assert";
import { findProfile, judgeMatrix, PROFILES } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const PARTS = ["cert", "key"] as const;

/** Two authorities with two hosts each; `a` has its pairs by both, `old` first, as QEMU 10.2 reads them. */
async function makeSites(path: string): Promise<Record<"a" | "old" | "new", string>> {
  const hosts = [{ name: "a" }, { name: "b" }];
  const [old, next] = [
    await makePki(`${path}/old`, { hosts, name: "old" }),
    await makePki(`${path}/new`, { hosts, name: "new" }),
  ];
  const dir = old.host("a");
  for (const role of ["server", "client"]) {
    for (const part of PARTS) {
      const file = `${next.host("a")}/${role}-${part}.pem`;
      Deno.copyFileSync(file, `${dir}/${role}-${part}-0.pem`);
    }
  }
  const trust = [old, next].map((pki) => Deno.readTextFileSync(`${pki.dir}/ca-cert.pem`));
  Deno.writeTextFileSync(`${dir}/ca-cert.pem`, trust.join(""));
  return { a: dir, old: old.host("b"), new: next.host("b") };
}

Deno.test("judgeMatrix() lets a client of QEMU 10.2 offer the pair that its server knows", async () => {
  using temp = temporaryDirectory();
  const sites = await makeSites(temp.path);
  const engine = await chooseEngine();
  const stateOf = async (version: string, to: "old" | "new") => {
    const profiles = version === "all" ? PROFILES : [findProfile(version)];
    const hosts = [sites.a, sites[to]].map((dir, i) => ({
      name: `h${i}`,
      dir,
      profiles,
      names: [],
    }));
    const { state, refusals } = (await judgeMatrix(hosts, { engine })).pair(0, 1);
    // No name is asked for.
    return [state, refusals.map(({ code }) => code).filter((code) => code !== "PEER_HOSTNAME")];
  };
  assertEquals((await stateOf("10.2", "old"))[1], []);
  assertEquals((await stateOf("10.2", "new"))[1], []);
  // A QEMU that might be older has the first pair alone.
  assertEquals((await stateOf("7.2.22", "new"))[1], ["PEER_NO_ISSUER"]);
  assertEquals((await stateOf("all", "new"))[1], ["PEER_NO_ISSUER"]);
});

Deno.test("judgeMatrix() has a server of QEMU 10.2 serve with the first pair that can", async () => {
  using temp = temporaryDirectory();
  const sites = await makeSites(temp.path);
  const engine = await chooseEngine();
  for (const part of PARTS) Deno.removeSync(`${sites.a}/server-${part}.pem`);
  const names = async (version: string) => {
    const profiles = [findProfile(version)];
    const hosts = [sites.new, sites.a].map((dir, i) => ({ name: `h${i}`, dir, profiles }));
    const { refusals } = (await judgeMatrix(hosts, { engine })).pair(0, 1);
    return refusals.map(({ code, by }) => `${by} ${code}`);
  };
  assertEquals(await names("10.2"), []);
  assertEquals(await names("7.2.22"), ["destination FILE_MISSING"]);
});
