/** The commands of the human monitor that every monitor has, help aside. */

import { VERSION } from "../base/mod.ts";
import { closefd, getfd } from "./_getfd.ts";
import type { HmpCommand, Monitor } from "./command.ts";
import { MONITOR_VERSION } from "./version.ts";

/** The commands of the human monitor, without `help`. */
export function builtInHmp(monitor: Monitor): readonly HmpCommand[] {
  return [
    {
      name: "quit|q",
      help: "quit the program",
      run: () => monitor.quit(),
    },
    {
      name: "info version",
      help: "show the version of this program, and of the QEMU it speaks like",
      run: () => {
        const { major, minor, micro } = MONITOR_VERSION.qemu;
        return `${major}.${minor}.${micro}virtcreds ${VERSION}`;
      },
    },
    {
      name: "getfd",
      parameters: [{ kind: "string", name: "fdname" }],
      usage: "getfd name",
      help: "receive a file descriptor via SCM rights and assign it a name",
      run: (args, session) => getfd(args.get("fdname"), session),
    },
    {
      name: "closefd",
      parameters: [{ kind: "string", name: "fdname" }],
      usage: "closefd name",
      help: "close a file descriptor previously passed via SCM rights",
      run: (args, session) => closefd(args.get("fdname"), session),
    },
  ];
}
