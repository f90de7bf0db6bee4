import { assert, assertEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { defaultCapabilities, setCapability } from "../../migration/capabilities.ts";
import { builtInGuest, GUEST_BLOCK, GUEST_MACHINE, parseGuestRam } from "../../migration/guest.ts";
import { MigrationError } from "../../migration/error.ts";
import { guestMemory } from "../../migration/guest_memory.ts";
import { LiveGuest } from "../../migration/live_guest.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { initialState, type MigrationState } from "../../migration/state.ts";
import type { SendContext } from "../../migration/stream_file.ts";
import { readStream } from "../../migration/stream_reader.ts";

const MiB = 2 ** 20;

/** Sends a guest into memory, as fast as it goes. */
async function migrated(
  guest: ReturnType<typeof builtInGuest>,
  context: SendContext = {},
): Promise<{ state: MigrationState; digest: string | undefined; zero: number }> {
  const memory = guestMemory(512 * MiB);
  const reader = readStream({ visitor: memory });
  const { state = initialState() } = context;
  for await (const chunk of guest.chunks({ ...context, state })) reader.push(chunk);
  const summary = reader.end();
  assertEquals(summary.bytes, state.bytes);
  assertEquals(summary.machine, GUEST_MACHINE);
  assertEquals(summary.validation, { kind: "sections", devices: 0 });
  const digest = (await memory.digests()).get(GUEST_BLOCK);
  return { state, digest, zero: summary.pages.zero };
}

Deno.test("builtInGuest() sends all of its memory, each page once, when it does not write", async () => {
  for (const ram of [4096, 15 * 4096, 16 * 4096, MiB, 17 * MiB + 4096]) {
    const guest = builtInGuest({ ram });
    const parameters = { ...defaultParameters(), "max-bandwidth": 0 };
    const { state, digest, zero } = await migrated(guest, { parameters });
    assertEquals(digest, await guest.digest());
    assertEquals(zero, Math.floor(ram / 4096 / 16));
    assertEquals(state.ram!.normal + state.ram!.duplicate, ram / 4096);
    assertEquals(state.ram!.passes, 3);
  }
});

Deno.test("builtInGuest() sends again what it wrote meanwhile, and what arrives is what it had", async () => {
  const guest = builtInGuest({ ram: 32 * MiB, dirtyRate: 50 * MiB });
  const parameters = { ...defaultParameters(), "max-bandwidth": 200 * MiB, "downtime-limit": 1 };
  const { state, digest } = await migrated(guest, { parameters });
  assertEquals(digest, await guest.digest());
  assert(state.ram!.passes > 3, `${state.ram!.passes} passes`);
  assert(state.ram!.normal + state.ram!.duplicate > 32 * MiB / 4096);
  assertEquals(await guest.digest(), digest, "a guest that has gone writes no more");
});

/** Sends a guest over a link of so many bytes a ms; the clock goes by what the link has carried. */
async function overLink(limit: number, perMs: number): Promise<MigrationState> {
  const guest = builtInGuest({ ram: 32 * MiB, dirtyRate: 20 * MiB });
  const parameters = { ...defaultParameters(), "max-bandwidth": 0, "downtime-limit": limit };
  const state = initialState();
  const { now } = performance;
  let clock = now.call(performance);
  performance.now = () => clock;
  try {
    for await (const chunk of guest.chunks({ state, parameters })) clock += chunk.length / perMs;
  } finally {
    performance.now = now;
  }
  return state;
}

Deno.test("builtInGuest() stands still when what is left goes over in downtime-limit, not before", async () => {
  const perMs = 100 * MiB / 1000;
  const states: MigrationState[] = [];
  for (const limit of [200, 20, 1]) {
    const state = await overLink(limit, perMs);
    const { downtimeBytes, passes } = state.ram!;
    const shown = `limit ${limit} ms: ${state.downtime} ms, ${downtimeBytes} bytes, pass ${passes}`;
    // Each page has a head of eight bytes, and the end of the stream is not counted beforehand.
    assert(downtimeBytes <= limit * perMs * 1.01 + 1024, shown);
    assert(state.downtime! <= limit * 1.01 + 0.1, shown);
    assert(state.downtime! > 0, shown);
    states.push(state);
  }
  // What is written while 32 MiB go over takes 60 ms, and what is written meanwhile 12 ms, and so on.
  assertEquals(states.map(({ ram }) => ram!.passes), [3, 4, 6]);
  const left = states.map(({ ram }) => ram!.downtimeBytes);
  assert(left[0]! > left[1]! && left[1]! > left[2]!, `${left}`);
});

Deno.test("builtInGuest() never has more left to send than it has memory", async () => {
  const guest = builtInGuest({ ram: 8 * MiB, dirtyRate: 900 * MiB });
  const parameters = {
    ...defaultParameters(),
    "max-bandwidth": 64 * MiB,
    "downtime-limit": 2000,
  };
  const state = initialState();
  let most = 0;
  for await (const _ of guest.chunks({ state, parameters })) {
    most = Math.max(most, state.ram!.remaining);
  }
  assert(most > 0 && most <= 8 * MiB, `${most} bytes`);
});

Deno.test("builtInGuest() slows down a guest that writes faster than it can be sent", async () => {
  const guest = builtInGuest({ ram: 16 * MiB, dirtyRate: 200 * MiB });
  const parameters = {
    ...defaultParameters(),
    "max-bandwidth": 16 * MiB,
    "downtime-limit": 30,
    "cpu-throttle-initial": 60,
    "cpu-throttle-increment": 39,
  };
  const capabilities = defaultCapabilities();
  setCapability(capabilities, "auto-converge", true);
  const { state, digest } = await migrated(guest, { parameters, capabilities });
  assertEquals(digest, await guest.digest());
  assert(state.throttle! >= 60, `${state.throttle} percent`);
});

Deno.test("builtInGuest() stands still until it may be switched over, and goes on when it is not", async () => {
  const guest = builtInGuest({ ram: MiB, dirtyRate: 20 * MiB });
  const capabilities = defaultCapabilities();
  setCapability(capabilities, "pause-before-switchover", true);
  const order: string[] = [];
  const state = initialState();
  state.onStatus = (status) => order.push(status);
  await migrated(guest, {
    state,
    capabilities,
    onStopped: () => order.push("stopped"),
    beforeSwitchover: () => Promise.resolve(void order.push("asked")),
  });
  assertEquals(order, ["stopped", "pre-switchover", "asked", "device"]);

  const other = builtInGuest({ ram: MiB, dirtyRate: 400 * MiB });
  const chunks = other.chunks() as AsyncGenerator<Uint8Array>;
  await chunks.next();
  await chunks.return(undefined);
  const before = await other.digest();
  await new Promise((resolve) => setTimeout(resolve, 50));
  other.run?.(false);
  assert(await other.digest() !== before, "it runs on");
});

Deno.test("LiveGuest holds in each page what its number and its writes say", async () => {
  const guest = new LiveGuest({ ram: MiB, dirtyRate: 1000 * MiB, workingSet: 4096 });
  const still = new LiveGuest({ ram: MiB });
  assertEquals(await guest.digest(), await still.digest());
  guest.run();
  await new Promise((resolve) => setTimeout(resolve, 20));
  guest.stop();
  assertEquals(guest.log.count, 1);
  assert(guest.log.has(0));
  const [bytes, page] = [new Uint8Array(MiB), new Uint8Array(4096)];
  for (let i = 0; i < 256; i++) {
    if (guest.isZero(i)) continue;
    guest.read(i, page, new DataView(page.buffer), 0);
    bytes.set(page, i * 4096);
  }
  assertEquals(createHash("sha256").update(bytes).digest("hex"), await guest.digest());
});

Deno.test("parseGuestRam() reads sizes as QEMU's -m does", () => {
  assertEquals(parseGuestRam("64"), 64 * 2 ** 20);
  assertEquals(parseGuestRam("64M"), 64 * 2 ** 20);
  assertEquals(parseGuestRam("4g"), 4 * 2 ** 30);
  assertEquals(parseGuestRam("4K"), 4096);
  assertEquals(parseGuestRam("1GiB"), 2 ** 30);
  for (const text of ["", "0", "1K", "5000K0", "-1M", "1.5G", "32T", "9".repeat(50), "64Q"]) {
    assertThrows(() => parseGuestRam(text), MigrationError, "is not a size");
  }
});
