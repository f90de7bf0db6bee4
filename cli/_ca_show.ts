/** `ca show`: everything of a certificate that was issued. */

import { day } from "../base/mod.ts";
import { resolve } from "@std/path";
import type { ShownCertificate } from "../ca/mod.ts";
import { DIR_FLAG, untilText } from "./_ca_flags.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { line } from "./_output.ts";

/** The command. */
export const caShow: Command = {
  name: "ca show",
  summary: "show what was issued for a host, or one certificate by its serial",
  usage: "HOST|SERIAL [--json|--pem] [--dir DIR]",
  examples: [
    ["deno task ca show host-a", "what it holds now, then what it had"],
    ["deno task ca show 5f:0a:… --json", "one certificate, for a program"],
    ["deno task ca show 5f:0a:… --pem", "the certificate itself, one of years ago too"],
  ],
  flags: [
    DIR_FLAG,
    { name: "json", help: "one JSON object for each certificate" },
    { name: "pem", help: "the certificates in PEM" },
  ],
  operands: { name: "HOST|SERIAL", min: 1, max: 1 },
  notes:
    "The subject is spelled as QEMU's authz objects and libvirt's lists of allowed names want it.",
  run,
};

async function run(input: Input): Promise<number> {
  if (input.on("json") && input.on("pem")) {
    throw usage("--json and --pem are two forms", "give one of them");
  }
  const { daysUntil, showIssued } = await import("../ca/mod.ts");
  const shown = await showIssued(input.operands[0]!, { dir: input.get("dir")! });
  for (const one of shown) {
    if (input.on("json")) {
      const { keyType = null, revoked = null } = one;
      console.log(
        JSON.stringify({
          ...one,
          file: one.file === undefined ? null : resolve(one.file),
          keyType,
          revoked,
        }),
      );
    } else if (input.on("pem")) console.log(one.pem.trimEnd());
    else print(one, daysUntil(new Date(), one.notAfter));
  }
  return 0;
}

function print(one: ShownCertificate, days: number): void {
  const names = [...one.dns.map((name) => `DNS ${name}`), ...one.ip.map((name) => `IP ${name}`)];
  const until = one.isExpired ? `${day(one.notAfter)}: expired` : untilText(one.notAfter, days);
  const place = one.file ?? `certificate ${one.serial} of ${one.host === "" ? "the CA" : one.host}`;
  console.log(line(`${place}${one.isHeld || one.host === "" ? "" : " (not in use)"}`));
  console.log(line(`  subject      ${one.subject}`));
  console.log(line(`  issuer       ${one.issuer}`));
  console.log(line(`  names        ${names.join(", ")}`));
  console.log(`  key          ${one.keyType ?? "of another kind"}, profile ${one.profile}`);
  console.log(`  valid        from ${day(one.notBefore)} until ${until}`);
  console.log(`  renew from   ${day(one.dueAt)}`);
  console.log(`  serial       ${one.serial}`);
  console.log(`  SHA-256      ${one.sha256}`);
  if (one.revoked === undefined) return;
  console.log(`  revoked      ${one.revoked.date.toISOString()}, ${one.revoked.reason}`);
}
