/**
 * The way QEMU takes through a directory when it makes a `tls-creds-x509` object of it. QEMU stops
 * at the first thing it refuses; the walk goes on and gives all of them in QEMU's order.
 */

import type { Inspection } from "./_inspect.ts";
import { mendContext } from "./_mend.ts";
import type { Walk } from "./_steps.ts";
import { libvirtSteps } from "./_steps_libvirt.ts";
import { newSteps } from "./_steps_new.ts";
import { oldSteps } from "./_steps_old.ts";
import type { Finding } from "./finding.ts";
import type { ChainContext } from "./path.ts";
import type { Profile } from "./profiles.ts";

const STEPS = { old: oldSteps, new: newSteps, libvirt: libvirtSteps } as const;

/** Everything that makes QEMU refuse the directory, in the order in which it looks. */
export function walkDirectory(
  inspection: Inspection,
  profile: Profile,
  chain: ChainContext,
  sanityCheck: boolean,
): readonly Finding[] {
  const found: Finding[] = [];
  const walk: Walk = { inspection, profile, chain, mending: mendContext(inspection), found };
  for (const step of STEPS[profile.logic]) {
    if (step.isSanityCheck && !sanityCheck) continue;
    for (const finding of step.run(walk)) {
      if (!found.some((known) => isSame(known, finding))) {
        found.push(finding);
      }
    }
  }
  return found;
}

/** A damaged file is met more than once on the way, in other words; QEMU's first ones count. */
function isSame(a: Finding, b: Finding): boolean {
  return a.code === b.code && a.file === b.file && (a.cause === b.cause || FILES.includes(a.code));
}

const FILES = ["CERT_DAMAGED", "CA_DAMAGED", "FILE_NOT_READABLE"];
