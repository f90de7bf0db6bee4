/**
 * Feeds damaged bytes to the library, in a process of its own, since a crash in native code takes
 * the process along: `_gnutls_fuzz.ts records|certificates|keys COUNT SEED`. Prints what came of
 * it as JSON; anything but an error of the engine's own ends it with a stack trace.
 */

import { BaseError } from "../../base/mod.ts";
import { type ByteChannel, chooseEngine, type Engine, EngineError } from "../../engine/mod.ts";
import { pair } from "../support/channels.ts";
import { identity, makePki, pemOf, revoke, x509Spec } from "./_gnutls.ts";

const [what = "records", count = "1000", seed = "1"] = Deno.args;
const engine = await chooseEngine("gnutls") as Required<Engine>;
/** Longest time in ms that a session waits for what was cut off. */
const LIMIT = 400;

const random = generator(Number(seed));
const outcomes: Record<string, number> = {};

function note(outcome: string): void {
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
}

/** Lets what the engine says on purpose pass, and nothing else. */
function noteError(error: unknown): void {
  if (!(error instanceof EngineError || error instanceof BaseError)) throw error;
  note(error.code);
}

/** Mulberry32: small, and the same everywhere for one seed. */
function generator(state: number): (below: number) => number {
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** A copy with one to four wounds: bits, bytes, lengths, cuts, repeats. */
function mutate(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let copy = new Uint8Array(bytes);
  for (let wounds = 1 + random(4); wounds > 0 && copy.length > 0; wounds--) {
    const at = random(copy.length);
    const length = 1 + random(Math.min(64, copy.length - at));
    switch (random(7)) {
      case 0:
        copy[at]! ^= 1 << random(8);
        break;
      case 1:
        copy[at] = random(256);
        break;
      case 2:
        copy[at] = [0, 0x7f, 0x80, 0x81, 0x84, 0xff][random(6)]!;
        break;
      case 3:
        copy = copy.slice(0, at);
        break;
      case 4:
        copy = concat(copy.subarray(0, at), copy.subarray(at + length));
        break;
      case 5:
        copy = concat(copy.subarray(0, at + length), copy.subarray(at));
        break;
      default:
        crypto.getRandomValues(copy.subarray(at, at + length));
    }
  }
  return copy;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** The channel, with one of its next flights damaged. */
function damaging(channel: ByteChannel): ByteChannel {
  let flights = random(6);
  return {
    ...channel,
    write: (bytes) => channel.write(flights-- === 0 ? mutate(bytes) : bytes),
  };
}

async function fuzzRecords(rounds: number): Promise<void> {
  const { spec } = await makePki();
  const keys = { qemu: new Uint8Array(16) };
  const sets = await Promise.all(["NORMAL", "NORMAL:-VERS-TLS1.3"].map(async (priority) =>
    [
      engine.credentials(await spec("server", priority)),
      engine.credentials(await spec("client", priority)),
    ] as const
  ));
  sets.push([
    engine.credentials({ kind: "psk", endpoint: "server", keys }),
    engine.credentials({ kind: "psk", endpoint: "client", keys }),
  ]);
  let left = rounds;
  // Many at a time, since some only end by their time limit.
  const lane = async () => {
    while (left-- > 0) await one();
  };
  const one = async () => {
    const [server, client] = sets[random(sets.length)]!;
    const [a, b] = pair();
    const both = random(2) === 0;
    const run = async (channel: ByteChannel, credentials: typeof server) => {
      // A flight that was cut short leaves both ends waiting for more.
      const limit = setTimeout(() => channel.close(), 2 * LIMIT);
      try {
        await using session = await engine.open(channel, { credentials, timeout: LIMIT });
        if (credentials.kind === "x509") session.verifyPeer();
        const exchange = (async () => {
          await session.write(new Uint8Array(random(3000)));
          await session.closeWrite();
        })();
        exchange.catch(() => {});
        const buffer = new Uint8Array(1 + random(2000));
        while (await session.read(buffer) !== null) { /* to the end */ }
        await exchange;
        note(session.closedCleanly ? "whole" : "truncated");
      } catch (error) {
        // A peer in memory that has closed says so with an error of its own.
        if (error instanceof Error && /end is closed/.test(String(error.cause ?? error))) {
          note("closed");
        } else noteError(error);
      } finally {
        clearTimeout(limit);
        channel.close();
      }
    };
    await Promise.all([
      run(damaging(a), client),
      run(both ? damaging(b) : b, server),
    ]);
  };
  await Promise.all(Array.from({ length: 128 }, lane));
}

async function fuzzCertificates(rounds: number): Promise<void> {
  const { ca, server, client } = await makePki();
  const ders = [ca, server, client].map(({ certificate }) => new Uint8Array(certificate.rawData));
  const own = await identity(server);
  const crl = await revoke(ca, [client]);
  const attempts: readonly (() => unknown)[] = [
    () => engine.dnText(mutate(ders[random(3)]!)),
    () => engine.matchHostname(mutate(ders[random(3)]!), "vm.example.org"),
    () => engine.matchHostname(ders[1]!, text(mutate(bytes("vm.example.org")))),
    () => engine.credentials(x509Spec("server", mutate(pemOf(ca, server)), [own])),
    () => engine.credentials(x509Spec("server", damagedPem("CERTIFICATE", ders[0]!), [own])),
    () =>
      engine.credentials(x509Spec("server", pemOf(ca), [{
        certificate: damagedPem("CERTIFICATE", ders[1]!),
        key: own.key,
      }])),
    () => engine.credentials(x509Spec("server", pemOf(ca), [own], { crl: mutate(crl) })),
    () => engine.checkPriority(text(mutate(bytes("NORMAL:-VERS-TLS1.3:+PSK:%COMPAT")))),
  ];
  attempt(rounds, attempts);
}

async function fuzzKeys(rounds: number): Promise<void> {
  const keys = await Promise.all(
    (["ec-p256", "ed25519", "rsa-2048"] as const).map((type) => engine.generateKey(type)),
  );
  const pems = await Promise.all(keys.map((key) => key.exportPem()));
  const data = bytes("data");
  const signatures = await Promise.all(keys.map((key) => key.sign(data)));
  const algorithms = [
    "300a06082a8648ce3d040302",
    "300506032b6570",
    "300d06092a864886f70d01010b0500",
  ]
    .map((hex) => Uint8Array.fromHex(hex));
  const any = () => random(3);
  for (let round = 0; round < rounds; round++) {
    const which = any();
    attempt(1, [() =>
      engine.verify({
        publicKey: random(2) ? mutate(keys[which]!.publicKey) : keys[any()]!.publicKey,
        algorithm: random(2) ? mutate(algorithms[which]!) : algorithms[any()]!,
        data,
        signature: random(2) ? mutate(signatures[which]!) : signatures[any()]!,
      })]);
    try {
      const damaged = random(2)
        ? text(mutate(bytes(pems[which]!)))
        : text(damagedPem("PRIVATE KEY", pemBody(pems[which]!)));
      using key = await engine.importKey(damaged);
      await key.sign(data);
      note("read");
    } catch (error) {
      noteError(error);
    }
  }
}

function attempt(rounds: number, attempts: readonly (() => unknown)[]): void {
  for (let round = 0; round < rounds; round++) {
    try {
      const result = attempts[random(attempts.length)]!();
      note(typeof result === "object" ? "read" : String(typeof result));
      if (typeof result === "object" && result !== null && Symbol.dispose in result) {
        (result as Disposable)[Symbol.dispose]();
      }
    } catch (error) {
      noteError(error);
    }
  }
}

function damagedPem(label: string, der: Uint8Array): Uint8Array {
  return bytes(
    `-----BEGIN ${label}-----\n${mutate(der).toBase64()}\n-----END ${label}-----\n`,
  );
}

function pemBody(pem: string): Uint8Array {
  return Uint8Array.fromBase64(pem.replace(/-----[^-]+-----|\s/g, ""));
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(value: Uint8Array): string {
  return new TextDecoder("latin1").decode(value);
}

if (what === "records") await fuzzRecords(Number(count));
else if (what === "certificates") await fuzzCertificates(Number(count));
else await fuzzKeys(Number(count));
console.log(JSON.stringify(outcomes));
