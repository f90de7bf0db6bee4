// Every pair of a fleet meets for real: qemu-img as the client of qemu-nbd, by every name.

import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  findProfile,
  judgeMatrix,
  type Matrix,
  type MatrixHost,
  type PairOutcome,
  type Profile,
} from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { start } from "../chardev/process.ts";
import {
  type CertificateSpec,
  makeCertificate,
  makeCrl,
  PURPOSE,
  type TestCertificate,
  writeCredentials,
} from "../support/certificates.ts";
import { run } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const AUTHORITY = {
  basicConstraints: { critical: true, ca: true },
  keyUsage: { critical: true, usages: ["keyCertSign", "cRLSign"] },
} as const;
const LEAF = {
  basicConstraints: { critical: true, ca: false },
  keyUsage: { critical: true, usages: ["digitalSignature"] },
} as const;

/** How a host of the fleet departs from a good one. */
interface Member {
  readonly issuer?: TestCertificate;
  /** What others reach it by, whatever its certificate says. */
  readonly names?: readonly string[];
  readonly spec?: Partial<CertificateSpec>;
  readonly trust?: readonly TestCertificate[];
  readonly roles?: readonly ("server" | "client")[];
  readonly revoked?: boolean;
}

/** Writes the hosts of a fleet; each knows which of the others is revoked. */
async function makeFleet(
  dir: string,
  members: Readonly<Record<string, Member>>,
  authority: TestCertificate,
  profile: Profile,
): Promise<MatrixHost[]> {
  const entries = Object.entries(members);
  const serialOf = (i: number) => (0x7000 + i).toString(16);
  const revoked = entries.flatMap(([, { revoked }], i) => revoked ? [serialOf(i)] : []);
  const crl = await makeCrl(authority, revoked);
  const { stdout: dh } = await run("certtool", ["--get-dh-params", "--sec-param=medium"]);
  const hosts: MatrixHost[] = [];
  for (const [i, [name, member]] of entries.entries()) {
    const { issuer = authority, trust = [issuer], spec = {} } = member;
    const roles = member.roles ?? ["server", "client"];
    const address = `192.0.2.${i + 1}`;
    const names = [name, address, `2001:db8::${i + 1}`];
    for (const role of roles) {
      const { pem, keyPem } = await makeCertificate({
        ...LEAF,
        subject: `O=fleet,CN=${name}`,
        purposes: { critical: false, oids: [PURPOSE[role]] },
        serial: serialOf(i),
        issuer,
        dns: [name],
        ip: names.slice(1),
        ...spec,
      });
      writeCredentials(`${dir}/${name}`, role, {
        ca: trust.map((one) => one.pem).join(""),
        ...(issuer === authority ? { crl } : {}),
        cert: pem,
        key: keyPem,
      });
    }
    if (!roles.includes("server")) Deno.removeSync(`${dir}/${name}/ca-crl.pem`);
    // Without it each server computes a group of its own, which takes a while.
    else Deno.writeTextFileSync(`${dir}/${name}/dh-params.pem`, dh);
    const profiles = [profile];
    hosts.push({ name, dir: `${dir}/${name}`, profiles, names: member.names ?? names });
  }
  return hosts;
}

async function installedProfile(): Promise<Profile> {
  const { stdout } = await run("qemu-img", ["--version"]);
  return findProfile(/version ([\d.]+)/.exec(stdout)![1]!);
}

/** Longest time in ms that a server may take to write what it has to say. */
const LOG_TIMEOUT = 10_000;

/** Has every source reach one destination by all its names, and compares with what was foretold. */
async function meetDestination(
  hosts: readonly MatrixHost[],
  matrix: Matrix,
  at: number,
  socket: string,
): Promise<void> {
  const destination = hosts[at]!;
  const server = start("qemu-nbd", [
    ...["-k", socket, "--object", `tls-creds-x509,id=t,dir=${destination.dir},endpoint=server`],
    ...["--tls-creds", "t", "-x", "e", "--persistent"],
    ...["--image-opts", "driver=null-co,size=1M"],
  ]);
  await using _ = server;
  const isUp = await waitFor(() => isThere(socket) || server.stderr() !== "");
  assertEquals(isUp, true, destination.name);
  for (const [i, source] of hosts.entries()) {
    if (i === at) continue;
    const outcome = matrix.pair(i, at);
    for (const { name, ok } of outcome.names) {
      const where = `${source.name} → ${destination.name} by ${name}`;
      const logged = server.stderr().length;
      const client = await run("qemu-img", [
        ...["info", "--object", `tls-creds-x509,id=t,dir=${source.dir},endpoint=client`],
        "--image-opts",
        `driver=nbd,server.type=unix,server.path=${socket},export=e,tls-creds=t,tls-hostname=${name}`,
      ]);
      const said = foretold(outcome, ok ? undefined : name);
      assertEquals([where, client.code === 0], [where, said === undefined], client.stderr);
      if (said === undefined) continue;
      assertStringIncludes(client.stderr, said.source, where);
      const isLoad = outcome.refusals.some(({ when }) => when === "load");
      const log = () => server.stderr().slice(isLoad ? 0 : logged);
      await waitFor(() => log().includes(said.destination));
      assertStringIncludes(log(), said.destination, where);
    }
  }
}

/** What both sides are said to say, or nothing where they come together. */
function foretold(
  { state, refusals }: PairOutcome,
  refusedName: string | undefined,
): { readonly source: string; readonly destination: string } | undefined {
  if (state === "role" && refusals.length === 0) throw new Error("a role without its words");
  const said = refusals.filter(({ when }) => when !== "name" || refusedName !== undefined);
  const by = (side: "source" | "destination") => said.find((refusal) => refusal.by === side);
  const [source, destination] = [by("source"), by("destination")];
  if (source === undefined && destination === undefined) return undefined;
  const first = source?.when === "name"
    ? `Certificate does not match the hostname ${refusedName}`
    : source?.message;
  return {
    source: first ?? anyEnd(destination!.seen),
    destination: destination?.message ?? anyEnd(source!.seen),
  };
}

const CUT_OFF = "Cannot read from TLS channel: Software caused connection abort";

/** Whether a side that is cut off was about to read or to write is chance, and so are its words. */
function anyEnd(text: string): string {
  return text === CUT_OFF ? " TLS channel: " : text;
}

async function waitFor(isSo: () => boolean): Promise<boolean> {
  for (const begin = Date.now(); Date.now() - begin < LOG_TIMEOUT;) {
    if (isSo()) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return isSo();
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

async function meetAll(
  members: Readonly<Record<string, Member>>,
  authority: TestCertificate,
): Promise<Matrix> {
  using temp = temporaryDirectory();
  const hosts = await makeFleet(temp.path, members, authority, await installedProfile());
  const matrix = await judgeMatrix(hosts, { engine: await chooseEngine() });
  for (const at of hosts.keys()) {
    await meetDestination(hosts, matrix, at, `${temp.path}/socket-${at}`);
  }
  return matrix;
}

const PROGRAMS = ["qemu-img", "qemu-nbd", "certtool"];

programTest("judgeMatrix() foretells 30 pairs by 90 names of a mixed fleet", PROGRAMS, async () => {
  const authority = await makeCertificate({ ...AUTHORITY, subject: "CN=fleet CA", keyNumber: 1 });
  const other = await makeCertificate({ ...AUTHORITY, subject: "CN=other CA", keyNumber: 2 });
  const matrix = await meetAll({
    "good.example": {},
    "unnamed.example": { names: ["unnamed.example", "alias.example", "192.0.2.2"] },
    "alien.example": { issuer: other },
    "expired.example": { spec: { hours: [-48, -24] } },
    "revoked.example": { revoked: true },
    "client.example": { roles: ["client"] },
  }, authority);
  const states = matrix.hosts.map((_, from) =>
    matrix.hosts.map((_, to) => from === to ? "·" : STATE_LETTERS[matrix.pair(from, to).state])
      .join("")
  );
  assertEquals(states, ["·nrrp-", "p·rrp-", "rr·rr-", "rrr·r-", "rrrr·-", "pnrrp·"]);
});

const STATE_LETTERS = { passes: "p", names: "n", refused: "r", role: "-" } as const;

programTest("judgeMatrix() foretells the pairs of odd hosts", PROGRAMS, async () => {
  const authority = await makeCertificate({ ...AUTHORITY, subject: "CN=fleet CA", keyNumber: 1 });
  const twin = await makeCertificate({ ...AUTHORITY, subject: "CN=fleet CA", keyNumber: 2 });
  const other = await makeCertificate({ ...AUTHORITY, subject: "CN=other CA", keyNumber: 3 });
  const usage = (usages: NonNullable<CertificateSpec["keyUsage"]>["usages"]) => ({
    keyUsage: { critical: false, usages },
  });
  await meetAll({
    "both.example": { trust: [other, authority] },
    "twin.example": { issuer: twin },
    "rolling.example": { issuer: other, trust: [authority, other] },
    "rsa.example": { spec: { keyType: "rsa", ...usage(["keyEncipherment"]) } },
    "mute.example": { spec: usage(["keyEncipherment"]) },
    "signer.example": { spec: { keyType: "rsa", ...usage(["keyCertSign"]) } },
  }, authority);
});
