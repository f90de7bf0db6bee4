/** `creds explain`: what a code or a message means. */

import { asInvoked, printable } from "../base/mod.ts";
import type { Page } from "../creds/mod.ts";
import { type Command, usage } from "./_command.ts";

/** Longest line of a log that is shown whole, in characters. */
const LONGEST_LINE = 100_000;

/** The command. */
export const credsExplain: Command = {
  name: "creds explain",
  summary: "say what a code or an error of QEMU, GnuTLS or libvirt means, and what mends it",
  usage: "CODE|TEXT|-",
  examples: [
    ["deno task creds explain CERT_KEY_ENCIPHERMENT", "a code of creds check"],
    [
      'deno task creds explain "Verify failed: No certificate was found."',
      "what a program printed, as it is",
    ],
    ["journalctl -u libvirtd | deno task creds explain -", "a log, with notes below what is known"],
    ["deno task creds explain all", "every page"],
  ],
  flags: [{ name: "json", help: "one object per page: {code, cause, confirm, mend}" }],
  operands: { name: "CODE, TEXT or -", min: 1, max: 1000 },
  exitOne: "nothing is known of it",
  async run(input) {
    const { explain, PAGES } = await import("../creds/mod.ts");
    const show = input.on("json") ? showJson : showText;
    const [only] = input.operands;
    if (input.operands.length === 1 && only === "-") return await annotate(explain, show);
    if (input.operands.length === 1 && only === "all") {
      for (const page of PAGES) show(page);
      return 0;
    }
    const text = input.operands.join(" ");
    if (text.trim() === "") throw usage("nothing to explain", "see creds explain --help");
    const page = explain(text);
    if (page === undefined) {
      console.error(`error: nothing is known of '${printable(text)}'`);
      console.error(asInvoked("hint: deno task creds check DIR judges the files themselves"));
      return 1;
    }
    show(page);
    return 0;
  },
};

type Explain = (text: string) => Page | undefined;

/** Passes a log through, with the page of each mistake below its first line. */
async function annotate(explain: Explain, show: (page: Page) => void): Promise<number> {
  const seen = new Set<string>();
  const note = (line: string) => {
    console.log(printable(line, LONGEST_LINE));
    const page = explain(line);
    if (page === undefined || seen.has(page.code)) return;
    seen.add(page.code);
    show(page);
  };
  let rest = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!.slice(0, LONGEST_LINE);
    lines.forEach(note);
  }
  if (rest !== "") note(rest);
  return seen.size > 0 ? 0 : 1;
}

function showText({ code, cause, confirm, mend }: Page): void {
  console.log(
    `${code}\n  cause:   ${cause}\n  confirm: ${asInvoked(confirm)}\n  mend:    ${asInvoked(mend)}`,
  );
}

function showJson({ code, cause, confirm, mend }: Page): void {
  const commands = { confirm: asInvoked(confirm), mend: asInvoked(mend) };
  console.log(JSON.stringify({ code, cause, ...commands }));
}
