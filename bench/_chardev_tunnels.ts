/** Ways through TLS and back: a plain port that leads over mutual TLS to another plain port. */

import { PROJECT } from "../tests/support/command.ts";

/** A way that is open. */
export interface Tunnel extends AsyncDisposable {
  /** The plain port that leads to the target. */
  readonly port: number;
}

/** What the ends of a tunnel are made with. */
export interface TunnelCredentials {
  /** A folder with both roles, for localhost. */
  readonly dir: string;
  /** Where files may lie meanwhile. */
  readonly scratch: string;
}

/** Gives a port that is free now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Waits until a port takes connections. */
export async function untilOpen(port: number): Promise<void> {
  for (let i = 0; i < 400; i++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
  throw new Error(`nobody listens on port ${port}`);
}

/** A program that runs until it is disposed. */
export function start(program: string, args: readonly string[]): AsyncDisposable {
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  return {
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGTERM");
      } catch { /* it has ended */ }
      await child.status;
    },
  };
}

/** Starts a program of this project. */
export function startOurs(file: string, args: readonly string[]): AsyncDisposable {
  return start(Deno.execPath(), [
    ...["run", "-A", "--no-check", "--config", `${PROJECT}/deno.json`, `${PROJECT}/${file}`],
    ...args,
  ]);
}

/** Starts one end of a tunnel: it takes connections at a port and leads each to another one. */
type MakeEnd = (
  port: number,
  target: number,
  credentials: TunnelCredentials,
) => AsyncDisposable;

/** The end inside TLS that dials, and the one that listens. */
interface Ends {
  readonly client: MakeEnd;
  readonly server: MakeEnd;
}

/** The programs that can be both ends. */
export type TunnelProgram = "chardev join" | "socat OPENSSL" | "stunnel4";

/** What has to be installed for each. */
export const TUNNEL_PROGRAMS: Readonly<Partial<Record<TunnelProgram, string>>> = {
  "socat OPENSSL": "socat",
  "stunnel4": "stunnel4",
};

const ENDS: Readonly<Record<TunnelProgram, Ends>> = {
  "chardev join": {
    client: (port, target, { dir }) =>
      startOurs("chardev/join.ts", [
        ...["--object", `tls-creds-x509,id=tls0,dir=${dir},endpoint=client`],
        `socket,id=a,host=127.0.0.1,port=${port},server=on,wait=off`,
        `socket,id=b,host=127.0.0.1,port=${target},tls-creds=tls0,reconnect-ms=20`,
      ]),
    // Each connection needs the other side to be dialled anew.
    server: (port, target, { dir }) =>
      startOurs("chardev/join.ts", [
        ...["--object", `tls-creds-x509,id=tls0,dir=${dir},endpoint=server`],
        `socket,id=a,host=127.0.0.1,port=${port},server=on,wait=off,tls-creds=tls0`,
        `socket,id=b,host=127.0.0.1,port=${target},reconnect-ms=20`,
      ]),
  },
  "socat OPENSSL": {
    client: (port, target, { dir }) =>
      start("socat", [
        `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork,nodelay`,
        `OPENSSL:127.0.0.1:${target},nodelay,commonname=localhost,${socatPki(dir, "client")}`,
      ]),
    server: (port, target, { dir }) =>
      start("socat", [
        `OPENSSL-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork,verify=1,nodelay,` +
        socatPki(dir, "server"),
        `TCP:127.0.0.1:${target},nodelay`,
      ]),
  },
  stunnel4: {
    client: (port, target, credentials) =>
      stunnel(credentials, "client", port, target, ["client = yes", "checkHost = localhost"]),
    server: (port, target, credentials) => stunnel(credentials, "server", port, target, []),
  },
};

function socatPki(dir: string, role: "client" | "server"): string {
  return `cafile=${dir}/ca-cert.pem,cert=${dir}/${role}-cert.pem,key=${dir}/${role}-key.pem`;
}

function stunnel(
  { dir, scratch }: TunnelCredentials,
  role: "client" | "server",
  port: number,
  target: number,
  lines: readonly string[],
): AsyncDisposable {
  const file = `${scratch}/stunnel-${port}.conf`;
  Deno.writeTextFileSync(
    file,
    [
      ...["foreground = yes", "pid =", "debug = 0"],
      ...["socket = l:TCP_NODELAY=1", "socket = r:TCP_NODELAY=1"],
      ...["[tunnel]", `CAfile = ${dir}/ca-cert.pem`, "verifyChain = yes"],
      ...[`cert = ${dir}/${role}-cert.pem`, `key = ${dir}/${role}-key.pem`],
      ...[`accept = 127.0.0.1:${port}`, `connect = 127.0.0.1:${target}`],
      ...lines,
      "",
    ].join("\n"),
  );
  return start("stunnel4", [file]);
}

/** Leads a plain port through TLS to another one, with a program for each end. */
export async function openTunnel(
  client: TunnelProgram,
  server: TunnelProgram,
  target: number,
  credentials: TunnelCredentials,
): Promise<Tunnel> {
  const [port, middle] = [freePort(), freePort()];
  const ends = new AsyncDisposableStack();
  ends.use(ENDS[server].server(middle, target, credentials));
  await untilOpen(middle);
  ends.use(ENDS[client].client(port, middle, credentials));
  await untilOpen(port);
  return { port, [Symbol.asyncDispose]: () => ends.disposeAsync() };
}
