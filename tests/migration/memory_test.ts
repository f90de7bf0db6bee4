// What the two programs hold of a guest that is much larger than they are, on a disk that is slow.

import { assert, assertEquals } from "@std/assert";
import { makePki } from "../support/pki.ts";
import { SOAK, soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { type Program, startProgram, tlsFlags } from "./programs.ts";

/** MiB that a program may have at most. */
const LIMIT = 200;
/** ms that the disk takes for the 4 MiB of a write: slower than any source. */
const DELAY = SOAK ? 25 : 40;

for (const channels of [1, 2]) {
  const how = channels === 1 ? "one connection" : `${channels} channels`;
  Deno.test(`migration target and source stay under ${LIMIT} MiB with a slow disk, over ${how}`, async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, {
      hosts: [{ name: "localhost", ip: ["127.0.0.1"] }],
    });
    const size = soakCount(16 * 1024);
    const file = `${temp.path}/guest.mig`;
    const multifd = channels === 1
      ? []
      : ["--capability", "multifd=on", "--parameter", `multifd-channels=${channels}`];
    await using target = startProgram("slow target", [
      ...[`${DELAY}`, "--once", "--incoming", "tcp:127.0.0.1:0", "--out", file, ...multifd],
      ...tlsFlags(pki.host("localhost"), "server"),
    ]);
    const [, uri] = await target.says(/listening on (tcp:\S+)/);
    using received = watchPeak(target);
    await using source = startProgram("source", [
      ...["--migrate", uri!, "--guest-ram", `${size}M`, "--parameter", "max-bandwidth=0"],
      ...[...multifd, ...tlsFlags(pki.host("localhost"), "client")],
    ]);
    using sent = watchPeak(source);
    assertEquals(await target.exit, 0, target.stderr());
    assertEquals(await source.exit, 0, source.stderr());
    // One page in sixteen is zeros, and takes nine bytes.
    assert(Deno.statSync(file).size > size * 2 ** 20 * 0.9);
    const shown = `target ${received.peak()} MiB, source ${sent.peak()} MiB at most`;
    assert(received.peak() < LIMIT && sent.peak() < LIMIT, shown);
    // Watched at all.
    assert(received.peak() > 20 && sent.peak() > 20, shown);
    soakRow(`MiB onto a slow disk over ${how}`, size, shown);
  });
}

/** The most memory that a program had, in MiB, as the kernel remembers it (VmHWM). */
function watchPeak({ pid }: Program): Disposable & { peak(): number } {
  let peak = 0;
  const timer = setInterval(() => {
    try {
      const status = Deno.readTextFileSync(`/proc/${pid}/status`);
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    } catch { /* it has just ended */ }
  }, 50);
  return {
    peak: () => Math.round(peak / 1024),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
