/** How causes name certificates, days and spans of time. */

import { day } from "../base/mod.ts";
import type { Certificate } from "./certificate.ts";

/** A certificate in a sentence. */
export function nameOf(certificate: Certificate): string {
  return certificate.subject.text || "a certificate without subject";
}

export { day };

/** A number of days. */
export function days(count: number): string {
  return count === 1 ? "1 day" : `${count} days`;
}
