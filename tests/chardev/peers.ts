/** Other programs as the TLS client of a serial port. */

import type { Directories } from "./devices.ts";

/** How a program is started that talks to a serial port. */
export interface PeerOptions {
  readonly port: number;
  /** An address; `localhost` is verified where it is not given. */
  readonly host?: string;
  /** Whether it shows a certificate. */
  readonly identity?: boolean;
  /** The one version of TLS that it speaks. */
  readonly version?: "1.2" | "1.3";
}

/** How each program is told where to go, whom to trust and who it is. */
export const PEERS: Readonly<
  Record<string, (dirs: Directories, options: PeerOptions) => readonly string[]>
> = {
  "gnutls-cli": ({ localhost: d }, { port, host = "localhost", identity = true, version }) => [
    ...["--x509cafile", `${d}/ca-cert.pem`, "-p", String(port), host],
    ...version === undefined ? [] : ["--priority", `NORMAL:-VERS-ALL:+VERS-TLS${version}`],
    ...identity
      ? ["--x509certfile", `${d}/client-cert.pem`, "--x509keyfile", `${d}/client-key.pem`]
      : [],
  ],
  "openssl": ({ localhost: d }, { port, host, identity = true, version }) => [
    ...["s_client", "-quiet", "-verify_return_error", "-CAfile", `${d}/ca-cert.pem`],
    ...host === undefined ? ["-verify_hostname", "localhost"] : ["-verify_ip", host],
    ...["-connect", `${bracketed(host ?? "127.0.0.1")}:${port}`],
    ...version === undefined ? [] : [`-tls${version.replace(".", "_")}`],
    ...identity ? ["-cert", `${d}/client-cert.pem`, "-key", `${d}/client-key.pem`] : [],
  ],
  "socat": ({ localhost: d }, { port, host = "127.0.0.1", identity = true, version }) => [
    "-",
    `OPENSSL:${bracketed(host)}:${port},cafile=${d}/ca-cert.pem,commonname=localhost` +
    (version === undefined
      ? ""
      : ["min", "max"].map((end) => `,openssl-${end}-proto-version=TLS${version}`).join("")) +
    (identity ? `,cert=${d}/client-cert.pem,key=${d}/client-key.pem` : ""),
  ],
};

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
