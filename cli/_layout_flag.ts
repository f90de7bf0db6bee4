/** The layouts as a flag has them: named here too, since `--help` loads no room. */

import type { LayoutName } from "../creds/mod.ts";

const NAMES = {
  "qemu": true,
  "libvirt": true,
  "libvirt-user": true,
  "vnc": true,
  "spice": true,
  "chardev": true,
  "migrate": true,
  "backup": true,
  "nbd": true,
  "cloud-hypervisor": true,
} satisfies Record<LayoutName, true>;

/** Every layout, once; the type holds it to the room's own list. */
export const LAYOUT_CHOICES: readonly string[] = Object.keys(NAMES);
