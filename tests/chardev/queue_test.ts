import { assertEquals } from "@std/assert";
import { connect, type TcpAddress } from "../../channel/mod.ts";
import {
  type ChardevChannel,
  dialChardev,
  MAX_WAITING,
  parseSocketChardev,
  planTls,
  serveChardev,
} from "../../chardev/mod.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { directories, objects } from "./devices.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error("it never came to that");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function readText(channel: ChardevChannel, size: number): Promise<string> {
  const buffer = new Uint8Array(size);
  const count = await channel.read(buffer);
  return count === null ? "" : new TextDecoder().decode(buffer.subarray(0, count));
}

for (const { name: engine } of await enginesHere()) {
  Deno.test(`clients that leave the queue of a TLS server make room and are not served (${engine})`, async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using ours = await objects(engine, dirs.localhost, "server");
    using theirs = await objects(engine, dirs.elsewhere, "client");
    const listening = parseSocketChardev(
      "socket,id=s0,host=127.0.0.1,port=0,server=on,tls-creds=tls0",
    );
    const refused: string[] = [];
    await using server = await serveChardev(listening, {
      tls: planTls(listening, ours)!,
      onRefused: (_, error) => refused.push(error instanceof Error ? error.message : "?"),
    });
    const { port } = server.address as TcpAddress;
    const dialling = parseSocketChardev(
      `socket,id=c0,host=localhost,port=${port},ipv6=off,tls-creds=tls0`,
    );
    const dial = () => dialChardev(dialling, { tls: planTls(dialling, theirs)! });

    await using first = await dial();
    await using served = await server.accept();
    // While the first one is served, others are verified, as many as may wait.
    const waiters: ChardevChannel[] = [];
    while (waiters.length < MAX_WAITING) {
      waiters.push(await dial());
      await until(() => server.waiting === waiters.length);
    }
    const next = dial();
    await served.write(bytes("busy"));
    assertEquals(await readText(first, 8), "busy");

    // One has said something, and is served for it.
    await waiters[0]!.write(bytes("words"));
    for (const waiter of waiters) {
      await waiter.closeWrite();
      waiter.close();
    }
    await using last = await next;
    await until(() => server.waiting === 2);
    assertEquals(refused, []);
    first.close();
    await using speaker = await server.accept();
    assertEquals(await readText(speaker, 3), "wor");
    assertEquals(await readText(speaker, 3), "ds");
    assertEquals(await speaker.read(new Uint8Array(1)), null);
    await using late = await server.accept();
    await last.write(bytes("last"));
    assertEquals(await readText(late, 8), "last");
    assertEquals(server.waiting, 0);

    // One that leaves as one does who refuses us is told.
    (await dial()).close();
    await until(() => refused.length > 0);
    assertEquals(server.waiting, 0);

    // Those who wait at the end are told of it.
    await using held = await dial();
    await until(() => server.waiting === 1);
    await server[Symbol.asyncDispose]();
    assertEquals([await held.read(new Uint8Array(1)), held.closedCleanly], [null, true]);
  });
}

Deno.test("a client without TLS that leaves while another is served does not get its place", async () => {
  const listening = parseSocketChardev("socket,id=s0,host=127.0.0.1,port=0,server=on");
  await using server = await serveChardev(listening);
  const address = server.address as TcpAddress;
  await using _first = await connect(address);
  await using _served = await server.accept();
  const gone = await connect(address);
  await until(() => server.waiting === 1);
  gone.close();
  await until(() => server.waiting === 0);
  await using stays = await connect(address);
  await using next = await server.accept();
  await stays.write(bytes("here"));
  assertEquals(await readText(next, 8), "here");
});
