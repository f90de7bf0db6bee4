/** The TLS cases of QEMU's own migration test (qtest `migration/tls-tests.c` of 10.2), as a table. */

/** How a migration ends: `fail` leaves the destination alive, `quit` ends a QEMU there. */
export type CaseResult = "ok" | "fail" | "quit";

/** One case. */
export interface TlsCase {
  /** Under `/migration/`. */
  readonly name: string;
  readonly transport: "tcp" | "unix";
  readonly creds: "psk" | "x509";
  /** Pre-shared keys of the two sides that differ. */
  readonly otherKey?: boolean;
  /** What the server's certificate names. */
  readonly server?: "127.0.0.1" | "qemu.org" | "10.0.0.1";
  readonly hostname?: string;
  /** The server's `verify-peer`; on without it. */
  readonly verifyPeer?: boolean;
  /** Whose certificate the client has; `friend` without it. */
  readonly client?: "friend" | "stranger" | "none";
  /** Whether the server lets only the friend in. */
  readonly authz?: boolean;
  readonly multifd?: boolean;
  /** Whether the guest is switched over before all of it has come, and how urgent pages come. */
  readonly postcopy?: "postcopy-ram" | "postcopy-preempt";
  readonly result: CaseResult;
}

/** The cases without post-copy, as the table of upstream lists them, and multifd on a unix socket. */
export const TLS_CASES: readonly TlsCase[] = [
  { name: "precopy/tcp/tls/psk/match", transport: "tcp", creds: "psk", result: "ok" },
  {
    name: "precopy/tcp/tls/psk/mismatch",
    transport: "tcp",
    creds: "psk",
    otherKey: true,
    result: "fail",
  },
  { name: "precopy/unix/tls/psk", transport: "unix", creds: "psk", result: "ok" },
  {
    name: "precopy/unix/tls/x509/default-host",
    transport: "unix",
    creds: "x509",
    server: "127.0.0.1",
    result: "quit",
  },
  {
    name: "precopy/unix/tls/x509/override-host",
    transport: "unix",
    creds: "x509",
    server: "qemu.org",
    hostname: "qemu.org",
    result: "ok",
  },
  ...tcpCases("precopy", false),
  {
    name: "multifd/tcp/tls/psk/match",
    transport: "tcp",
    creds: "psk",
    multifd: true,
    result: "ok",
  },
  {
    name: "multifd/tcp/tls/psk/mismatch",
    transport: "tcp",
    creds: "psk",
    otherKey: true,
    multifd: true,
    result: "fail",
  },
  {
    name: "multifd/unix/tls/x509/override-host",
    transport: "unix",
    creds: "x509",
    server: "qemu.org",
    hostname: "qemu.org",
    multifd: true,
    result: "ok",
  },
  // With multifd the destination waits for more channels, and lives.
  ...tcpCases("multifd", true).filter(({ name }) => !/client$/.test(name) || /anon/.test(name)),
];

/** Those of post-copy, which a source of ours never enters; a cut is a test of its own. */
export const POSTCOPY_CASES: readonly TlsCase[] = [
  postcopyCase("postcopy/tls/psk", {}),
  postcopyCase("postcopy/tls/x509", { creds: "x509" }),
  postcopyCase("postcopy/preempt/tls/psk", { postcopy: "postcopy-preempt" }),
  postcopyCase("multifd+postcopy/tcp/tls/psk/match", { multifd: true }),
];

function postcopyCase(name: string, more: Partial<TlsCase>): TlsCase {
  return { name, transport: "tcp", creds: "psk", postcopy: "postcopy-ram", result: "ok", ...more };
}

function tcpCases(kind: string, multifd: boolean): readonly TlsCase[] {
  const one = (name: string, more: Partial<TlsCase>): TlsCase => ({
    name: `${kind}/tcp/tls/x509/${name}`,
    transport: "tcp",
    creds: "x509",
    server: "127.0.0.1",
    result: "ok",
    ...(multifd ? { multifd } : {}),
    ...more,
  });
  return [
    one("default-host", {}),
    one("override-host", { server: "qemu.org", hostname: "qemu.org" }),
    one("mismatch-host", { server: "10.0.0.1", result: multifd ? "fail" : "quit" }),
    one("friendly-client", { authz: true }),
    one("hostile-client", { authz: true, client: "stranger", result: "fail" }),
    one("allow-anon-client", { verifyPeer: false, client: "none" }),
    one("reject-anon-client", { client: "none", result: "fail" }),
  ];
}
