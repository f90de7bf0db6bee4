/** Tests that run over IPv4 and IPv6; some machines have no IPv6 loopback. */

import { programTest, skippedTest } from "./programs.ts";

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/**
 * Registers a test once for each family, which its name ends with. Without `::1` that of IPv6 is
 * skipped, with the reason in its name.
 */
export function loopbackTest(
  name: string,
  programs: readonly string[],
  fn: (host: "127.0.0.1" | "::1", t: Deno.TestContext) => Promise<void>,
): void {
  programTest(`${name}, by IPv4`, programs, (t) => fn("127.0.0.1", t));
  if (hasIpv6()) programTest(`${name}, by IPv6`, programs, (t) => fn("::1", t));
  else skippedTest(`${name}, by IPv6`, "this machine has no address ::1");
}
