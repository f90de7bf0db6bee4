/** A priority string that QEMU takes at load and fails with in every session. */

import type { Beside } from "./_look.ts";
import { quote } from "./_mend.ts";
import type { Finding } from "./finding.ts";

/** Looks at the string that the object will be given, by GnuTLS's own reading. */
export function* priority({ inspection, profile, options }: Beside): Iterable<Finding> {
  const { priority: text, checkPriority } = options;
  if (text === undefined) return;
  const file = inspection.dir;
  if (checkPriority === undefined) {
    yield {
      code: "PRIORITY_NOT_CHECKED",
      severity: "warning",
      file,
      message: "",
      cause: "only GnuTLS reads priority strings, and it is not used here",
      mend: "--engine gnutls",
    };
    return;
  }
  const check = checkPriority(text);
  if (check.ok) return;
  const before = profile.logic === "new"
    ? "Unable to set TLS session priority"
    : "Cannot set default TLS session priority";
  const rest = text.slice(check.position);
  yield {
    code: "PRIORITY_INVALID",
    severity: "error",
    file,
    message: `${before} ${text}: ${check.error}`,
    cause: "QEMU takes the priority at load and fails in every session: " +
      (rest === "" ? "nothing usable is left of it" : `at character ${check.position}, ${rest}`),
    mend: `gnutls-cli --list --priority ${quote(text)}`,
  };
}
