/** What every store has to do, as the comment of `Store` says it: a suite for any implementation. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Act, sealActs } from "../../ca/act.ts";
import { CaError } from "../../ca/error.ts";
import { EMPTY_LOG, faultOf, type LogRecord } from "../../ca/log_entry.ts";
import type { Store } from "../../ca/store.ts";
import { temporaryDirectory } from "../support/temp.ts";

/**
 * Opens the store at a place, a path in a folder of its own; it is made where there is none. What
 * is opened twice is one store with two users.
 */
export type StoreFactory = (place: string) => Promise<Store>;

const ISSUER = "00112233aabbccdd";
const OTHER = "ffeeddccbbaa9988";

/** A certificate as far as a store looks into one: not at all. */
export function certificateAct(serial: string, host: string, issuer = ISSUER): Act {
  const certificate = new TextEncoder().encode(`${issuer} ${serial}`);
  return { act: "issue", host, issuer, serial, certificate };
}

/** Appends behind whatever head there is. */
export async function append(store: Store, ...acts: readonly Act[]): Promise<LogRecord[]> {
  const records = sealActs(acts, await store.head(), "tester");
  await store.append(records);
  return records;
}

async function all(records: AsyncIterable<LogRecord>): Promise<LogRecord[]> {
  return await Array.fromAsync(records);
}

async function refuses(work: () => Promise<unknown>): Promise<void> {
  assertEquals((await assertRejects(work, CaError)).code, "STORE_CONFLICT");
}

/** Registers the tests for an implementation. */
export function storeContract(name: string, open: StoreFactory): void {
  const test = (what: string, fn: (store: Store, again: () => Promise<Store>) => Promise<void>) =>
    Deno.test(`${name} ${what}`, async () => {
      using temp = temporaryDirectory();
      const place = `${temp.path}/store`;
      await using store = await open(place);
      await fn(store, () => open(place));
    });

  test("is empty when it is new", async (store) => {
    assertEquals(await store.head(), EMPTY_LOG);
    assertEquals(await all(store.records()), []);
    assertEquals(await store.certificatesOf("a"), []);
    assertEquals(await store.certificatesWith("01"), []);
    assertEquals(await store.revocations(ISSUER), []);
    assertEquals(await store.crlNumber(ISSUER), 0n);
    await store.append([]);
    assertEquals(await store.head(), EMPTY_LOG);
  });

  test("gives every record back as it was, in order, from anywhere", async (store) => {
    const acts: Act[] = [
      { act: "init", note: "ünïcode ' \" \\ \u2028 \0 '); DROP TABLE log; --" },
      certificateAct("0a", "a"),
      { act: "backup", sha256: "ab".repeat(32) },
    ];
    const records = sealActs(acts, EMPTY_LOG, "tester@host");
    const signature = { key: "k", algorithm: "Ed25519", value: "djE=" } as const;
    const signed = [...records.slice(0, 2), { ...records[2]!, signature }];
    await store.append(signed);
    assertEquals(await all(store.records()), signed);
    assertEquals(await all(store.records(2)), signed.slice(2));
    assertEquals(await all(store.records(3)), []);
    assertEquals(await store.head(), { seq: 3, hash: signed[2]!.hash });
  });

  test("finds certificates by host and by serial, in the order of their issue", async (store) => {
    await append(store, certificateAct("03", "a"), certificateAct("01", "b"));
    await append(store, certificateAct("02", "a"), certificateAct("03", "c", OTHER));
    const serials = async (host: string) =>
      (await store.certificatesOf(host)).map((one) => one.serial);
    assertEquals(await serials("a"), ["03", "02"]);
    assertEquals(await serials("b"), ["01"]);
    assertEquals(await serials("A"), []);
    const both = await store.certificatesWith("03");
    assertEquals(both.map(({ issuer, host }) => [issuer, host]), [[ISSUER, "a"], [OTHER, "c"]]);
    assertEquals(new TextDecoder().decode(both[1]!.certificate), `${OTHER} 03`);
  });

  test("keeps certificates whose host is empty or odd", async (store) => {
    const hosts = ["", "fd00::1", "*.example", "zürich ' OR 1=1 --"];
    await append(store, ...hosts.map((host, i) => certificateAct(`0${i}`, host)));
    for (const [i, host] of hosts.entries()) {
      assertEquals((await store.certificatesOf(host)).map((one) => one.serial), [`0${i}`]);
    }
  });

  test("refuses a serial that its issuer has used, and takes nothing of that change", async (store) => {
    await append(store, certificateAct("01", "a"));
    const head = await store.head();
    await refuses(() => append(store, certificateAct("02", "b"), certificateAct("01", "c")));
    await refuses(() => append(store, certificateAct("02", "b"), certificateAct("02", "c")));
    assertEquals(await store.head(), head);
    assertEquals(await store.certificatesWith("02"), []);
    await append(store, certificateAct("01", "a", OTHER), certificateAct("02", "b"));
    assertEquals((await store.head()).seq, 3);
  });

  test("refuses what does not follow its head", async (store) => {
    const [one] = await append(store, { act: "init" });
    const head = await store.head();
    await refuses(() => store.append([one!]));
    await refuses(() => store.append(sealActs([{ act: "crl" }], EMPTY_LOG)));
    await refuses(() => store.append(sealActs([{ act: "crl" }], { ...head, seq: 7 })));
    await refuses(() => store.append(sealActs([{ act: "crl" }], { ...head, hash: "00" })));
    const [two, three] = sealActs([{ act: "crl" }, { act: "crl" }], head);
    await refuses(() => store.append([three!]));
    await refuses(() => store.append([two!, two!]));
    assertEquals(await store.head(), head);
    await store.append([two!, three!]);
    assertEquals((await store.head()).seq, 3);
  });

  test("keeps the first revocation of a certificate, with its date and reason", async (store) => {
    const revoke = (serial: string, day: number, reason?: number): Act => ({
      act: "revoke",
      issuer: ISSUER,
      serial,
      revoked: { date: new Date(86_400_000 * day), ...(reason === undefined ? {} : { reason }) },
    });
    await append(store, revoke("02", 1, 4), revoke("01", 2));
    await append(store, revoke("02", 9, 1), revoke("03", 3, 0));
    assertEquals(await store.revocations(ISSUER), [
      { serial: "01", date: new Date(86_400_000 * 2) },
      { serial: "02", date: new Date(86_400_000), reason: 4 },
      { serial: "03", date: new Date(86_400_000 * 3), reason: 0 },
    ]);
    assertEquals(await store.revocations(OTHER), []);
    assertEquals((await store.head()).seq, 4);
  });

  test("takes CRL numbers that rise, of twenty octets too, and no others", async (store) => {
    const crl = (number: bigint, issuer = ISSUER): Act => ({ act: "crl", issuer, number });
    await append(store, crl(9n));
    await append(store, crl(10n), crl(3n, OTHER));
    for (const number of [10n, 9n, 0n]) await refuses(() => append(store, crl(number)));
    const huge = 2n ** 159n - 1n;
    await append(store, crl(huge - 1n), crl(huge));
    assertEquals([await store.crlNumber(ISSUER), await store.crlNumber(OTHER)], [huge, 3n]);
  });

  test("has after it was closed what it had before", async (store, again) => {
    const records = await append(store, certificateAct("01", "a"), { act: "crl" });
    await store[Symbol.asyncDispose]();
    await using reopened = await again();
    assertEquals(await all(reopened.records()), records);
    assertEquals((await reopened.certificatesOf("a")).length, 1);
  });

  test("is not changed by what its caller does with the bytes afterwards", async (store) => {
    const act = certificateAct("01", "a");
    await append(store, act);
    const [record] = await all(store.records());
    act.certificate!.fill(0);
    record!.certificate?.fill(0);
    assertEquals(faultOf((await all(store.records()))[0]!, EMPTY_LOG), undefined);
  });

  test(
    "lets one of two win that append behind the same head, again and again",
    async (store, again) => {
      await using other = await again();
      let conflicts = 0;
      const work = async (mine: Store, name: string) => {
        for (let i = 0; i < 25;) {
          const records = sealActs([certificateAct(`${name}${i}`, name)], await mine.head());
          try {
            await mine.append(records);
            i++;
          } catch (error) {
            if (!(error instanceof CaError) || error.code !== "STORE_CONFLICT") throw error;
            conflicts++;
          }
        }
      };
      await Promise.all([work(store, "aa"), work(other, "bb")]);
      const records = await all(store.records());
      assertEquals(await all(other.records()), records);
      let head = EMPTY_LOG;
      for (const record of records) {
        assertEquals(faultOf(record, head), undefined);
        head = { seq: record.entry.seq, hash: record.hash };
      }
      assertEquals([records.length, (await store.certificatesOf("bb")).length], [50, 25]);
      assert(conflicts > 0, "the two never met");
    },
  );

  test(
    "takes a thousand records in one change, and shows them in one piece",
    async (store, again) => {
      await using other = await again();
      const seen = new Set<number>();
      const acts = Array.from(
        { length: 1001 },
        (_, i) => certificateAct(i.toString(16).padStart(4, "0"), "many"),
      );
      const change = append(store, ...acts).then(() => true);
      while (!await Promise.race([change, other.head().then(({ seq }) => void seen.add(seq))]));
      seen.add((await other.head()).seq);
      assertEquals([...seen].filter((seq) => seq !== 0), [1001]);
      assertEquals((await all(other.records())).map(({ entry }) => entry.seq).at(-1), 1001);
      assertEquals((await other.certificatesOf("many")).length, 1001);
    },
  );
}
