// Damaged records, certificates and keys: no crash of the process, whatever the bytes.

import { assert, assertEquals } from "@std/assert";
import { PROJECT, run } from "../support/command.ts";
import { SOAK, soakCount, soakRow } from "../support/soak.ts";
import { gnutlsTest } from "./_gnutls.ts";

const KINDS = {
  records: 100_000,
  certificates: 100_000,
  keys: 20_000,
} as const;

for (const [kind, full] of Object.entries(KINDS)) {
  gnutlsTest(`the library survives damaged ${kind}`, async () => {
    const count = soakCount(full);
    const seed = SOAK ? crypto.getRandomValues(new Uint32Array(1))[0]! : 4;
    const { code, stdout, stderr } = await run(Deno.execPath(), [
      "run",
      "-A",
      "--config",
      `${PROJECT}/deno.json`,
      `${PROJECT}/tests/engine/_gnutls_fuzz.ts`,
      kind,
      String(count),
      String(seed),
    ], { timeout: SOAK ? 3_600_000 : 120_000 });
    assertEquals(stderr, "", `seed ${seed}`);
    assertEquals(code, 0, `seed ${seed}`);
    const outcomes = JSON.parse(stdout) as Record<string, number>;
    assert(Object.keys(outcomes).length > 2, stdout);
    soakRow(`gnutls: damaged ${kind}`, count, stdout.trim());
  });
}
