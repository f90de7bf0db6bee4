/** A real NBD server and client with directories of credentials: who lets whom in. */

import { run } from "../support/command.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** What came of one connection. */
export interface NbdOutcome {
  /** Whether the client saw the export. */
  readonly ok: boolean;
  /** What the server wrote to standard error. */
  readonly server: string;
  /** What the client wrote to standard error. */
  readonly client: string;
}

const START_TIMEOUT = 20_000;

/** Has a client with one directory reach a server with another, under a name. */
export async function connectNbd(
  server: string,
  client: string,
  hostname: string,
): Promise<NbdOutcome> {
  using temp = temporaryDirectory();
  const socket = `${temp.path}/s`;
  const child = new Deno.Command("qemu-nbd", {
    args: [
      ...["-k", socket, "--object", `tls-creds-x509,id=t,dir=${server},endpoint=server`],
      ...["--tls-creds", "t", "-x", "e", "--image-opts", "driver=null-co,size=1M"],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const output = child.output();
  const ended = output.then(() => true);
  for (const start = Date.now(); !isThere(socket);) {
    const isOver = await Promise.race([ended, new Promise<false>((r) => setTimeout(r, 20, false))]);
    if (isOver || Date.now() - start > START_TIMEOUT) break;
  }
  const reached = await run("qemu-img", [
    ...["info", "--object", `tls-creds-x509,id=t,dir=${client},endpoint=client`, "--image-opts"],
    `driver=nbd,server.type=unix,server.path=${socket},export=e,tls-creds=t,tls-hostname=${hostname}`,
  ]);
  try {
    child.kill("SIGTERM");
  } catch { /* it ends with its one client */ }
  const text = new TextDecoder().decode((await output).stderr);
  return { ok: reached.code === 0, server: text, client: reached.stderr };
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
