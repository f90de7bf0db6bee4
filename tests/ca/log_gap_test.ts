import { assert, assertEquals } from "@std/assert";
import { changePki } from "../../ca/change.ts";
import { type LogGap, publishCrl, verifyLog } from "../../ca/mod.ts";
import { pkiPaths } from "../../ca/pki.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { alterFile, makeLog } from "./logs.ts";

const engine = await chooseEngine();

/** What somebody does to the log's file of 9 entries, and what is told of it. */
const LOSSES: readonly (readonly [
  what: string,
  lose: (file: string) => void,
  told: Pick<LogGap, "state" | "first" | "count">,
  note: string,
])[] = [
  [
    "whose end was cut off",
    (file) => Deno.truncateSync(file, Deno.statSync(file).size - 700),
    { state: "cut", first: 8, count: 2 },
    "ca.log was cut and had lost 2 entries, 8 to 9",
  ],
  [
    "that was emptied",
    (file) => Deno.truncateSync(file),
    { state: "empty", first: 1, count: 9 },
    "ca.log was empty and had lost 9 entries, 1 to 9",
  ],
  [
    "that is gone",
    (file) => Deno.removeSync(file),
    { state: "gone", first: 1, count: 9 },
    "ca.log was gone and had lost 9 entries, 1 to 9",
  ],
  [
    "that lost its last octet",
    (file) => Deno.truncateSync(file, Deno.statSync(file).size - 1),
    { state: "cut", first: 9, count: 1 },
    "ca.log was cut and had lost entry 9",
  ],
];

for (const [what, lose, told, note] of LOSSES) {
  Deno.test(`a change brings a log's file ${what} up to date, tells of it, and notes it`, async () => {
    using temp = temporaryDirectory();
    const dir = temp.path;
    const [file, store] = [`${dir}/ca.log`, `${dir}/ca.db`];
    await makeLog(dir);
    const whole = Deno.readTextFileSync(file);
    lose(file);
    const gaps: LogGap[] = [];
    const onGap = (gap: LogGap) => void gaps.push(gap);
    await publishCrl({ dir, engine, onGap });
    assert(Deno.readTextFileSync(file).startsWith(whole));
    assertEquals(gaps, [{ file, store, ...told }]);
    const verdict = await verifyLog({ dir, engine });
    assertEquals([verdict.faults, verdict.head.seq, verdict.signed], [[], 11, 11]);
    assertEquals(verdict.gaps.map((one) => [one.seq, one.note]), [[10, note]]);
    await publishCrl({ dir, engine, onGap });
    assertEquals(gaps.length, 1);
  });
}

Deno.test("a change tells of what a log's file lost behind what a killed command had for it", async () => {
  using temp = temporaryDirectory();
  const dir = temp.path;
  await makeLog(dir);
  const whole = Deno.readTextFileSync(`${dir}/ca.log`);
  const lines = whole.trimEnd().split("\n");
  const killedBefore = (last: number, kept: number) => {
    const journal = { version: 1, authority: false, hosts: [], records: lines.slice(last) };
    Deno.writeTextFileSync(`${dir}/.journal`, JSON.stringify(journal));
    alterFile(dir, () => lines.slice(0, kept));
  };
  const gaps: LogGap[] = [];
  const onGap = (gap: LogGap) => void gaps.push(gap);
  for (const kept of [7, 8, 9]) {
    killedBefore(7, kept);
    await changePki(pkiPaths(dir), { onGap }, () => Promise.resolve());
    assertEquals([gaps, Deno.readTextFileSync(`${dir}/ca.log`)], [[], whole]);
  }
  killedBefore(7, 5);
  await changePki(pkiPaths(dir), { onGap }, () => Promise.resolve());
  assertEquals(gaps.map(({ first, count }) => [first, count]), [[6, 2]]);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});
