/** How causes name certificates, days and spans of time. */

import type { Certificate } from "./certificate.ts";

/** A certificate in a sentence. */
export function nameOf(certificate: Certificate): string {
  return certificate.subject.text || "a certificate without subject";
}

/** The date of a day. */
export function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

/** A number of days. */
export function days(count: number): string {
  return count === 1 ? "1 day" : `${count} days`;
}
