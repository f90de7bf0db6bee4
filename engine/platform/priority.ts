/**
 * The part of a GnuTLS priority string that node:tls can honour: protocol versions.
 *
 * node:tls takes ciphers, signature algorithms and groups without complaint and ignores them, so
 * every other token is refused here instead of being passed on.
 */

import { EngineError } from "../error.ts";

/** The protocol versions of a context, as node:tls names them. */
export interface VersionRange {
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  readonly maxVersion: "TLSv1.2" | "TLSv1.3";
}

/** What node:tls can speak at all: rustls has nothing older. */
export const ALL_VERSIONS: VersionRange = { minVersion: "TLSv1.2", maxVersion: "TLSv1.3" };

/**
 * Reads `NORMAL` and the tokens behind it that add and remove protocol versions.
 *
 * @throws {EngineError} `ENGINE_UNSUPPORTED` If it has another token, `TLS_CREDENTIALS` if it
 * leaves no version.
 */
export function versionRange(priority: string | undefined): VersionRange {
  if (priority === undefined) return ALL_VERSIONS;
  const [first, ...tokens] = priority.split(":");
  if (first !== "NORMAL") throw unsupported(first ?? "");
  const versions = new Set(["1.2", "1.3"]);
  for (const token of tokens) {
    const match = /^([-!+])VERS-(?:TLS(1\.[0-3])|(SSL3\.0)|((?:TLS-)?ALL))$/.exec(token);
    const [, sign, version, , all] = match ?? [];
    if (match === null) throw unsupported(token);
    if (sign === "+") {
      if (version === "1.2" || version === "1.3") versions.add(version);
      else if (all !== undefined) versions.add("1.2").add("1.3");
      else throw unsupported(token);
    } else if (all !== undefined) versions.clear();
    else if (version !== undefined) versions.delete(version);
  }
  if (versions.size === 0) {
    throw new EngineError("TLS_CREDENTIALS", {
      option: "priority",
      value: priority,
      text:
        `Unable to set TLS session priority ${priority}: No or insufficient priorities were set.`,
      hint: "the platform engine speaks TLS 1.2 and 1.3: leave one of them in",
    });
  }
  return {
    minVersion: versions.has("1.2") ? "TLSv1.2" : "TLSv1.3",
    maxVersion: versions.has("1.3") ? "TLSv1.3" : "TLSv1.2",
  };
}

function unsupported(token: string): EngineError {
  return new EngineError("ENGINE_UNSUPPORTED", {
    value: "platform",
    option: `priority token '${token}'`,
    cause: "it would be ignored",
    hint: [
      "install libgnutls30 and use --engine gnutls, which takes every priority string",
      "the platform engine takes NORMAL with -VERS-TLS1.3, -VERS-TLS1.2, -VERS-ALL, +VERS-…",
    ],
  });
}
