/** Findings as GitHub's workflow commands, which become annotations of a run. */

import { mergeFindings, type Renderer, versionsText } from "./_creds_render.ts";

const COMMAND = { error: "error", warning: "warning", info: "notice" } as const;

/** Prints one command for each finding. */
export function renderGithub(): Renderer {
  return {
    directory: (_place, verdicts) => {
      for (const { severity, file, code, message, cause, mend, qemu } of mergeFindings(verdicts)) {
        const text = [message, cause, `mend: ${mend}`, versionsText(qemu)];
        const shown = text.filter((part) => part !== "").join("\n");
        const properties = `file=${escapeProperty(file)},title=${escapeProperty(code)}`;
        console.log(`::${COMMAND[severity]} ${properties}::${escapeData(shown)}`);
      }
    },
  };
}

function escapeData(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
