/** What hosts hold at each moment, kept, so that any two moments can be brought together. */

import { assertEquals, assertInstanceOf } from "@std/assert";
import { copySync } from "@std/fs";
import {
  CredsError,
  judgeMatrix,
  type MatrixHost,
  ObjectRegistry,
  PROFILES,
  verifySession,
} from "../../creds/mod.ts";
import type { ByteChannel, Engine } from "../../engine/mod.ts";
import { pair } from "../support/channels.ts";

/** A host's directory as it was at some moment. */
export interface Snapshot {
  readonly host: string;
  readonly moment: string;
  readonly dir: string;
}

/** Copies what hosts hold to where later moments do not change it. */
export function takeSnapshots(
  pki: string,
  hosts: readonly string[],
  moment: string,
  into: string,
): Snapshot[] {
  return hosts.map((host) => {
    const dir = `${into}/${moment}/${host}`;
    Deno.mkdirSync(`${into}/${moment}`, { recursive: true });
    copySync(`${pki}/hosts/${host}`, dir);
    return { host, moment, dir };
  });
}

/** Asserts that every line of QEMU on either side lets every pair come together, both ways. */
export async function assertAllMeet(
  snapshots: readonly Snapshot[],
  engine: Engine,
): Promise<void> {
  const hosts = snapshots.map(({ host, moment, dir }): MatrixHost => ({
    name: `${host}@${moment}`,
    dir,
    profiles: PROFILES,
    names: [host],
  }));
  const matrix = await judgeMatrix(hosts, { engine });
  for (const [i, source] of hosts.entries()) {
    for (const [j, destination] of hosts.entries()) {
      const { state, refusals } = matrix.pair(i, j);
      const why = refusals.map(({ by, message, cause }) => `${by}: ${message} (${cause})`);
      assertEquals(
        [state, ...why],
        ["passes"],
        `${source.name} → ${destination.name}`,
      );
    }
  }
}

/** Has two snapshots meet in a real handshake, as QEMU would; gives what each end says. */
export async function meet(
  client: Snapshot,
  server: Snapshot,
  engine: Engine,
): Promise<readonly [client: string, server: string]> {
  using objects = new ObjectRegistry({ engine });
  await objects.add(`tls-creds-x509,id=s,dir=${server.dir},endpoint=server`);
  await objects.add(`tls-creds-x509,id=c,dir=${client.dir},endpoint=client`);
  const [a, b] = pair();
  const credentials = [
    objects.tlsCreds("s", "server").credentials,
    objects.tlsCreds("c", "client").credentials,
  ] as const;
  const [served, dialled] = await Promise.all([
    engine.open(a, { credentials: credentials[0] }),
    engine.open(b, { credentials: credentials[1] }),
  ]);
  await using _served = served;
  await using _dialled = dialled;
  const send = (channel: ByteChannel) => channel.write(Uint8Array.of(1));
  const receive = (channel: ByteChannel) => channel.read(new Uint8Array(1));
  await Promise.all([send(served), send(dialled), receive(served), receive(dialled)]);
  return [
    said(() => verifySession(objects.tlsCreds("c", "client"), dialled, { hostname: server.host })),
    said(() => verifySession(objects.tlsCreds("s", "server"), served)),
  ];
}

function said(verify: () => void): string {
  try {
    verify();
    return "";
  } catch (error) {
    assertInstanceOf(error, CredsError);
    return error.message;
  }
}
