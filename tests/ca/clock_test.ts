/** A clock that was set back: what was made before stays as it is, numbers go on rising. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CaError,
  issueHost,
  publishCrl,
  renewHosts,
  revokeCertificates,
  verifyLog,
} from "../../ca/mod.ts";
import { readRevoked } from "../../ca/revoked.ts";
import { pkiPaths } from "../../ca/pki.ts";
import { checkCredentials } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();
const HOUR_BACK = daysFromNow(-1 / 24);

Deno.test("a clock before the CA's time is named, and nothing is changed", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "h" }] });
  const before = assertWholeSet(`${dir}/hosts/h`);
  const clock = daysFromNow(-30);
  for (
    const work of [
      () => issueHost({ dir, engine, clock, host: "h" }),
      () => publishCrl({ dir, engine, clock }),
      () => revokeCertificates(["h"], "superseded", { dir, engine, clock }),
    ]
  ) {
    const error = await assertRejects(work, CaError);
    assertEquals(error.code, "CA_NOT_ACTIVE");
    assert(error.hints.join().includes("set this machine's clock right"));
  }
  assertEquals(assertWholeSet(`${dir}/hosts/h`), before);
  assertEquals(readRevoked(pkiPaths(dir)).entries.size, 0);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});

Deno.test("a clock set back within the CA's time makes sets that are good then and now, and CRLs that go on", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "gone" }] });
  const paths = pkiPaths(dir);
  await revokeCertificates(["gone"], "keyCompromise", { dir, engine });
  const before = readRevoked(paths);
  await issueHost({ dir, engine, clock: HOUR_BACK, host: "h" });
  for (const clock of [HOUR_BACK, daysFromNow(0)]) {
    const verdicts = await checkCredentials(`${dir}/hosts/h`, { engine, clock });
    assertEquals(verdicts.filter(({ ok }) => !ok), []);
  }
  const { number } = await publishCrl({ dir, engine, clock: HOUR_BACK });
  const after = readRevoked(paths);
  assert(number > before.number);
  assertEquals([...after.entries.keys()], [...before.entries.keys()]);
  // What was just made is not due because of it, nor over.
  const { outcomes } = await renewHosts({
    dir,
    engine,
    clock: HOUR_BACK,
    selection: { kind: "due" },
  });
  assertEquals(outcomes, []);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});
