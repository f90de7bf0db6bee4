import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  CaError,
  type FleetOptions,
  type HostState,
  readFleet,
  revokeCertificates,
  showIssued,
} from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();
const DAY = 86_400_000;

/** A fleet with a host in every state; `expiring` is so within 20 days. */
async function everyState(dir: string): Promise<void> {
  await makePki(dir, {
    hosts: [
      { name: "fine", ip: ["192.0.2.1"] },
      { name: "old", clock: daysFromNow(-100), days: 30 },
      { name: "tired", clock: daysFromNow(-100), days: 140 },
      { name: "soon", days: 10 },
      { name: "early", clock: daysFromNow(3) },
      { name: "bad" },
      { name: "out" },
    ],
  });
  Deno.writeTextFileSync(`${dir}/hosts/bad/server-cert.pem`, "junk");
  Deno.mkdirSync(`${dir}/hosts/empty`);
  Deno.mkdirSync(`${dir}/hosts/lost+found`);
  await revokeCertificates(["out"], "superseded", { dir, engine });
}

const states = async (options: FleetOptions) =>
  Object.fromEntries((await readFleet(options)).hosts.map((host) => [host.host, host.state]));

Deno.test("readFleet() tells how it stands with every host", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/pki`;
  await everyState(dir);
  const expected: Record<string, HostState> = {
    bad: "damaged",
    early: "early",
    empty: "damaged",
    fine: "ok",
    old: "expired",
    out: "revoked",
    soon: "ok",
    tired: "due",
  };
  assertEquals(await states({ dir }), expected);
  assertEquals(await states({ dir, expiring: 20 * DAY }), { ...expected, soon: "expiring" });
  assertEquals(await states({ dir, clock: daysFromNow(8) }), {
    ...expected,
    early: "ok",
    soon: "expiring",
  });
  // Without a span of one's own: 30 days before the end, if it should have been renewed by then.
  assertEquals((await states({ dir, clock: daysFromNow(11) })).tired, "expiring");
  const { authority, crl, hosts } = await readFleet({ dir });
  assertEquals([authority.name, authority.state, crl.count], ["CN=virtcreds CA", "ok", 2]);
  const fine = hosts.find((host) => host.host === "fine")!;
  assertEquals([fine.dns, fine.ip, fine.keyType], [["fine"], ["192.0.2.1"], "ec-p256"]);
  assertEquals(fine.certificates.map((one) => one.role), ["server", "client"]);
  assertEquals((await readFleet({ dir, clock: daysFromNow(4000) })).authority.state, "expired");
});

Deno.test("readFleet() and showIssued() know who is revoked though the CRL is lost", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/pki`;
  await everyState(dir);
  Deno.removeSync(`${dir}/ca-crl.pem`);
  const { crl, hosts } = await readFleet({ dir });
  assertEquals([crl.missing, crl.count], [true, 2]);
  assertEquals(hosts.find((host) => host.host === "out")?.state, "revoked");
  const [shown] = await showIssued("out", { dir });
  assertEquals(shown?.revoked?.reason, "superseded");
});

Deno.test("showIssued() shows all of a host, what it holds first, or one serial", async () => {
  using temp = temporaryDirectory();
  const { dir, issued } = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "a" }, { name: "a" }, { name: "a" }, { name: "b" }],
  });
  await revokeCertificates(["b"], "keyCompromise", { dir, engine });
  const all = await showIssued("A", { dir });
  assertEquals(all.map((one) => one.isHeld), [true, true, false, false, false, false]);
  assertEquals(all.map((one) => one.host), Array(6).fill("a"));
  const { serial, sha256 } = issued("b").certificates[0]!;
  const [one, ...others] = await showIssued(serial.toUpperCase(), { dir });
  assertEquals(others, []);
  assertEquals([one!.sha256, one!.subject], [sha256, "O=virtcreds CA,CN=b"]);
  assertEquals([one!.revoked?.reason, one!.isExpired], ["keyCompromise", false]);
  const error = await assertRejects(() => showIssued("c", { dir }), CaError);
  assertMatch(error.message, /^cannot show 'c': /);
});
