/** TLS records that something between changes, cuts, doubles or makes up, to a chardev server. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { connect, startTls } from "../../channel/mod.ts";
import { isPeerFault, parseSocketChardev, planTls, serveChardev } from "../../chardev/mod.ts";
import type { ByteChannel } from "../../engine/mod.ts";
import { enginesHere } from "../support/engines.ts";
import { watchMemory } from "../support/memory.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { directories, objects } from "./devices.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** What a good client says, in records of these. */
const WORDS = ["a", "few bytes, then ", "x".repeat(600), "\r\n"];
/** A server that holds up one run so long, in ms, hangs. */
const HANG = 30_000;

type Damage =
  | { readonly kind: "flip"; readonly bits: number }
  | { readonly kind: "cut" }
  | { readonly kind: "double" }
  | { readonly kind: "insert"; readonly junk: Uint8Array };

const DAMAGES: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant("flip" as const), bits: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant("cut" as const) }),
  fc.record({ kind: fc.constant("double" as const) }),
  fc.record({
    kind: fc.constant("insert" as const),
    junk: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  }),
);

function damaged(data: Uint8Array, at: number, damage: Damage): Uint8Array {
  const [head, tail] = [data.subarray(0, at), data.subarray(at)];
  switch (damage.kind) {
    case "flip":
      return Uint8Array.of(...head, tail[0]! ^ damage.bits, ...tail.subarray(1));
    case "cut":
      return head;
    case "double":
      return Uint8Array.of(...data, ...data);
    case "insert":
      return Uint8Array.of(...head, ...damage.junk, ...tail);
  }
}

/**
 * The same channel, whose byte `at` is damaged on its way and whose stream ends behind that.
 *
 * @param onSent Hears how many bytes were written, from the first one.
 */
function damaging(
  raw: ByteChannel,
  at: number,
  damage: Damage,
  onSent: (sent: number) => void = () => {},
): ByteChannel {
  let sent = 0;
  return {
    ...raw,
    async write(data) {
      if (sent > at) throw new Error("the stream has ended");
      const start = sent;
      sent += data.length;
      onSent(sent);
      if (sent <= at) return await raw.write(data);
      await raw.write(damaged(data, at - start, damage));
      await raw.closeWrite();
    },
  };
}

for (const { name: engine } of await enginesHere()) {
  Deno.test(`a chardev server survives damaged TLS records and passes on only what was sent (${engine})`, async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using ours = await objects(engine, dirs.localhost, "server");
    using theirs = await objects(engine, dirs.elsewhere, "client");
    const creds = theirs.tlsCreds("tls0", "client");
    const chardev = parseSocketChardev(
      "socket,id=s0,host=127.0.0.1,port=0,server=on,tls-creds=tls0",
    );
    let refusal = Promise.withResolvers<unknown>();
    await using server = await serveChardev(chardev, {
      tls: planTls(chardev, ours)!,
      handshakeTimeout: HANG,
      onRefused: (_, error) => refusal.resolve(error),
    });
    const { address } = server;
    assert(address.kind === "tcp");

    async function talk(raw: ByteChannel): Promise<void> {
      try {
        await using channel = await startTls(raw, { creds, hostname: "localhost", timeout: HANG });
        for (const word of WORDS) await channel.write(bytes(word));
        await channel.closeWrite();
      } catch {
        raw.close();
      }
    }

    /** What the server reads of one client, or the error that it sends it away with. */
    async function served(): Promise<[heard: string, error: unknown]> {
      const stop = new AbortController();
      const accepted = server.accept(stop.signal).catch(() => undefined);
      const refused = refusal.promise.then((error) => ({ error }));
      const first = await Promise.race([accepted, refused]);
      stop.abort();
      if (first === undefined) return ["", undefined];
      if ("error" in first) return ["", first.error];
      await using channel = first;
      let heard = "";
      const buffer = new Uint8Array(1024);
      try {
        for (let n; (n = await channel.read(buffer)) !== null;) {
          heard += new TextDecoder().decode(buffer.subarray(0, n));
        }
        return [heard, undefined];
      } catch (error) {
        return [heard, error];
      }
    }

    const said = WORDS.join("");
    const counts = { refused: 0, broken: 0, whole: 0 };
    let length = 0;
    const run = async (at: number, damage?: Damage): Promise<void> => {
      refusal = Promise.withResolvers();
      const raw = await connect(address);
      const talking = talk(
        damage === undefined
          ? damaging(raw, Infinity, { kind: "cut" }, (sent) => length = sent)
          : damaging(raw, at, damage),
      );
      const [heard, error] = await served();
      await talking;
      raw.close();
      assert(said.startsWith(heard), `it passed on ${JSON.stringify(heard)}`);
      assert(error === undefined || isPeerFault(error), String(error));
      if (damage === undefined) assertEquals([heard, error], [said, undefined]);
      counts[heard === said ? "whole" : heard === "" ? "refused" : "broken"]++;
    };
    await run(0);
    // 10,000 over both engines.
    const runs = soakCount(5000);
    const memory = watchMemory(runs);
    await fc.assert(
      fc.asyncProperty(fc.nat(length - 1), DAMAGES, async (at, damage) => {
        memory.turn();
        await run(at, damage);
      }),
      { numRuns: runs, timeout: HANG, endOnFailure: true },
    );
    await run(0);
    assert(counts.refused > 0 && counts.broken > 0, JSON.stringify(counts));
    soakRow(
      `damaged TLS records to a chardev server (${engine})`,
      runs,
      `${counts.refused} refused, ${counts.broken} broken later, ${counts.whole} after the end; ` +
        memory.flat(),
    );
  });
}
