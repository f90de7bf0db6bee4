/** The commands of QMP that every monitor has. */

import { closefd, getfd } from "./_getfd.ts";
import { type Monitor, type QmpCommand, qmpCommand } from "./command.ts";
import { executeLine } from "./hmp_execute.ts";
import { makeSchema } from "./schema.ts";
import { int, listOf, oneOf, optional, struct, text } from "./shape.ts";
import { versionInfo } from "./version.ts";

/** The commands of QMP, `qmp_capabilities` aside, which only a session can execute. */
export function builtInQmp(monitor: Monitor): readonly QmpCommand[] {
  const negotiation: QmpCommand = {
    name: "qmp_capabilities",
    args: struct({ enable: optional(listOf(oneOf(["oob"]))) }).schema,
    run: () => Promise.resolve({}),
  };
  const own: QmpCommand[] = [
    negotiation,
    qmpCommand({ name: "query-version", run: versionInfo }),
    qmpCommand({ name: "query-commands", run: () => all().map(({ name }) => ({ name })) }),
    qmpCommand({
      name: "query-qmp-schema",
      run: () => makeSchema({ commands: all(), events: monitor.events.names }),
    }),
    // The session ends after the answer.
    qmpCommand({ name: "quit", run: () => {} }),
    qmpCommand({
      name: "human-monitor-command",
      members: { "command-line": text, "cpu-index": optional(int) },
      run: async (args, session) => {
        const output = await executeLine(monitor, args["command-line"], {
          ...session,
          mayWait: false,
        });
        return output.replaceAll("\n", "\r\n");
      },
    }),
    qmpCommand({
      name: "getfd",
      members: { fdname: text },
      run: ({ fdname }, s) => getfd(fdname, s),
    }),
    qmpCommand({
      name: "closefd",
      members: { fdname: text },
      run: ({ fdname }, session) => closefd(fdname, session),
    }),
  ];
  const all = (): QmpCommand[] => [...own, ...monitor.qmp];
  return own;
}
