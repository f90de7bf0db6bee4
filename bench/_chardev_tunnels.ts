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

type MakeTunnel = (target: number, credentials: TunnelCredentials) => Promise<Tunnel>;

/** The program that each tunnel but ours is made of. */
export const TUNNEL_PROGRAMS: Readonly<Record<string, string>> = {
  "socat OPENSSL, two": "socat",
  "stunnel4, two": "stunnel4",
};

/** Every tunnel; ours first. */
export const TUNNELS: Readonly<Record<string, MakeTunnel>> = {
  async "chardev join, two"(target, { dir }) {
    const [port, middle] = [freePort(), freePort()];
    const object = (endpoint: string) => [
      "--object",
      `tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint}`,
    ];
    // Each connection needs the other side to be dialled anew.
    const server = startOurs("chardev/join.ts", [
      ...object("server"),
      `socket,id=a,host=127.0.0.1,port=${middle},server=on,tls-creds=tls0`,
      `socket,id=b,host=127.0.0.1,port=${target},reconnect-ms=20`,
    ]);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const client = startOurs("chardev/join.ts", [
      ...object("client"),
      `socket,id=a,host=127.0.0.1,port=${port},server=on`,
      `socket,id=b,host=127.0.0.1,port=${middle},tls-creds=tls0,reconnect-ms=20`,
    ]);
    await untilOpen(port);
    return tunnel(port, client, server);
  },
  async "socat OPENSSL, two"(target, { dir }) {
    const [port, middle] = [freePort(), freePort()];
    const with_ = (role: string) =>
      `cafile=${dir}/ca-cert.pem,cert=${dir}/${role}-cert.pem,key=${dir}/${role}-key.pem`;
    const server = start("socat", [
      `OPENSSL-LISTEN:${middle},bind=127.0.0.1,reuseaddr,fork,verify=1,nodelay,${with_("server")}`,
      `TCP:127.0.0.1:${target},nodelay`,
    ]);
    const client = start("socat", [
      `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork,nodelay`,
      `OPENSSL:127.0.0.1:${middle},nodelay,commonname=localhost,${with_("client")}`,
    ]);
    await untilOpen(port);
    return tunnel(port, client, server);
  },
  async "stunnel4, two"(target, { dir, scratch }) {
    const [port, middle] = [freePort(), freePort()];
    const run = (name: string, lines: readonly string[]) => {
      const file = `${scratch}/${name}.conf`;
      const role = name === "client" ? "client" : "server";
      Deno.writeTextFileSync(
        file,
        [
          ...["foreground = yes", "pid =", "debug = 0"],
          ...["socket = l:TCP_NODELAY=1", "socket = r:TCP_NODELAY=1"],
          "[tunnel]",
          `CAfile = ${dir}/ca-cert.pem`,
          ...[
            `cert = ${dir}/${role}-cert.pem`,
            `key = ${dir}/${role}-key.pem`,
            "verifyChain = yes",
          ],
          ...lines,
          "",
        ].join("\n"),
      );
      return start("stunnel4", [file]);
    };
    const server = run("server", [
      `accept = 127.0.0.1:${middle}`,
      `connect = 127.0.0.1:${target}`,
    ]);
    const client = run("client", [
      "client = yes",
      "checkHost = localhost",
      `accept = 127.0.0.1:${port}`,
      `connect = 127.0.0.1:${middle}`,
    ]);
    await untilOpen(port);
    return tunnel(port, client, server);
  },
};

function tunnel(port: number, ...ends: readonly AsyncDisposable[]): Tunnel {
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const end of ends) await end[Symbol.asyncDispose]();
    },
  };
}
