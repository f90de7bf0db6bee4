/** Verdicts as JUnit XML: a suite for each directory, a case for each role and line of QEMU. */

import type { Finding, Verdict } from "../creds/mod.ts";
import { type Renderer, versionsText } from "./_creds_render.ts";

/** Prints the suites as they come, between the tags of the document. */
export function renderJunit(): Renderer {
  console.log('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="creds check">');
  return {
    directory: ({ dir }, verdicts) => {
      const failures = verdicts.filter((verdict) => failureOf(verdict) !== undefined).length;
      const counts = `tests="${verdicts.length}" failures="${failures}" errors="0" skipped="0"`;
      console.log(`  <testsuite name="${escape(dir)}" ${counts}>`);
      for (const verdict of verdicts) console.log(caseOf(verdict));
      console.log("  </testsuite>");
    },
    end: () => console.log("</testsuites>"),
  };
}

function caseOf(verdict: Verdict): string {
  const { dir, endpoint, qemu, findings } = verdict;
  const name = `name="${endpoint}, ${escape(versionsText([qemu]))}" classname="${escape(dir)}"`;
  const failure = failureOf(verdict);
  const text = findings.map(lineOf).join("\n");
  if (failure !== undefined) {
    const { code, message } = failure;
    return `    <testcase ${name}>\n      <failure type="${code}" message="${escape(message)}">${
      escape(text)
    }</failure>\n    </testcase>`;
  }
  return findings.length === 0
    ? `    <testcase ${name}/>`
    : `    <testcase ${name}>\n      <system-out>${escape(text)}</system-out>\n    </testcase>`;
}

function failureOf({ message, findings }: Verdict) {
  const error = findings.find(({ severity }) => severity === "error");
  return error && { code: error.code, message: message || error.message || error.cause };
}

function lineOf({ severity, code, file, message, cause, mend }: Finding): string {
  return `${severity} ${code} ${file}: ${
    message === "" ? "" : `${message}; `
  }${cause}\n  mend: ${mend}`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\n": "&#10;",
};

/** Characters that XML 1.0 has no way to write (XML 1.0 2.2); the line feed is an entity by then. */
const UNWRITABLE = /[^\P{Cc}\t]|[\ufffe\uffff]/gu;

/** Characters that cannot be written become a question mark. */
function escape(text: string): string {
  return text.toWellFormed().replace(/[&<>"\n]/g, (character) => ENTITIES[character]!)
    .replace(UNWRITABLE, "?");
}
