/** Chardevs of ours for tests, with good and bad credentials. */

import { assert } from "@std/assert";
import type { VirtcredsError } from "../../base/mod.ts";
import { revokeCertificates } from "../../ca/mod.ts";
import type { TcpAddress } from "../../channel/mod.ts";
import {
  type ChardevChannel,
  type ChardevServer,
  type ClientEvents,
  describeChannel,
  parseSocketChardev,
  runClient,
  runServer,
  type ServerEvents,
} from "../../chardev/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine, type EngineName } from "../../engine/mod.ts";
import { daysFromNow, makePki, type Pki } from "../support/pki.ts";
import { type TestLocal, testLocal } from "./local.ts";

/** Credentials of all kinds, as directories. */
export interface Directories {
  /** CN and DNS name localhost, IP 127.0.0.1 and ::1, as all but `elsewhere` have them. */
  readonly localhost: string;
  /** A host without the name localhost, of the same CA. */
  readonly elsewhere: string;
  readonly expired: string;
  /** On the CRL that all directories of this CA but `bare`, `smuggler` and `sceptic` have. */
  readonly revoked: string;
  /** The same CA, nothing of its own. */
  readonly bare: string;
  /** localhost of another CA. */
  readonly foreign: string;
  /** localhost of another CA, but trusting the first. */
  readonly smuggler: string;
  /** A host of the same CA that trusts another. */
  readonly sceptic: string;
}

/** Makes them. */
export async function directories(folder: string): Promise<Directories> {
  const names = { dns: ["localhost"], ip: ["127.0.0.1", "::1"] };
  const engine = await chooseEngine();
  const ours: Pki = await makePki(`${folder}/ours`, {
    engine,
    hosts: [
      { ...names, name: "localhost" },
      { name: "elsewhere.example" },
      { ...names, name: "expired.example", days: 1, clock: daysFromNow(-30) },
      { ...names, name: "revoked.example" },
    ],
  });
  await revokeCertificates(["revoked.example"], "keyCompromise", { dir: ours.dir, engine });
  const other = await makePki(`${folder}/other`, {
    name: "other CA",
    engine,
    hosts: [{ ...names, name: "localhost" }],
  });
  const copy = (from: string, to: string, files: readonly string[]) => {
    Deno.mkdirSync(to, { recursive: true });
    for (const file of files) Deno.copyFileSync(`${from}/${file}`, `${to}/${file}`);
    return to;
  };
  const bare = copy(ours.host("localhost"), `${folder}/bare`, ["ca-cert.pem"]);
  const smuggler = copy(other.host("localhost"), `${folder}/smuggler`, [
    "client-cert.pem",
    "client-key.pem",
    "server-cert.pem",
    "server-key.pem",
  ]);
  copy(ours.host("localhost"), smuggler, ["ca-cert.pem"]);
  const sceptic = copy(ours.host("localhost"), `${folder}/sceptic`, [
    "client-cert.pem",
    "client-key.pem",
  ]);
  copy(other.host("localhost"), sceptic, ["ca-cert.pem"]);
  return {
    localhost: ours.host("localhost"),
    elsewhere: ours.host("elsewhere.example"),
    expired: ours.host("expired.example"),
    revoked: ours.host("revoked.example"),
    bare,
    foreign: other.host("localhost"),
    smuggler,
    sceptic,
  };
}

/** Credentials that are not looked at when loaded, as a peer with another QEMU would have them. */
export async function objects(
  engine: EngineName | undefined,
  dir: string,
  endpoint: string,
  more = "",
): Promise<ObjectRegistry> {
  const registry = new ObjectRegistry({ engine: await chooseEngine(engine) });
  await registry.add(
    `tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint},sanity-check=off${more}`,
  );
  return registry;
}

/** A server under test, what it said and where it is. */
export interface Served extends AsyncDisposable {
  readonly local: TestLocal;
  readonly refused: VirtcredsError[];
  readonly names: string[];
  readonly address: TcpAddress;
  /** Waits until so many clients were refused, and gives the last reason. */
  refusal(count: number): Promise<VirtcredsError>;
  /** Waits until so many clients came in and left. */
  gone(count: number): Promise<void>;
}

/** Runs a server that keeps serving, on any port. */
export async function serve(
  registry: ObjectRegistry,
  options: { host?: string; more?: string; handshakeTimeout?: number } = {},
): Promise<Served> {
  const { host = "127.0.0.1", more = "" } = options;
  const chardev = parseSocketChardev(
    `socket,id=s0,host=${host},port=0,server=on,tls-creds=tls0${more}`,
  );
  const local = testLocal();
  const refused: VirtcredsError[] = [];
  const names: string[] = [];
  let left = 0;
  const stop = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<ChardevServer["address"]>();
  const events: ServerEvents = {
    listening: resolve,
    connected: (channel) => names.push(describeChannel(channel)),
    left: () => left++,
    refused: (_, error) => refused.push(error as VirtcredsError),
    broken: () => left++,
    logFailed() {},
  };
  const running = runServer(chardev, {
    objects: registry,
    local,
    events,
    keep: true,
    signal: stop.signal,
    handshakeTimeout: options.handshakeTimeout ?? 10_000,
  }).catch((error) => {
    if (!stop.signal.aborted) reject(error);
  });
  const address = await promise;
  if (address.kind !== "tcp") throw new Error("not a TCP address");
  const atLeast = async (count: number, what: string, now: () => number) => {
    const deadline = Date.now() + 20_000;
    while (now() < count) {
      if (Date.now() > deadline) throw new Error(`${now()} ${what}, not ${count}`);
      await new Promise((done) => setTimeout(done, 5));
    }
  };
  return {
    local,
    refused,
    names,
    address,
    async refusal(count) {
      await atLeast(count, "refused", () => refused.length);
      return refused[count - 1]!;
    },
    gone: (count) => atLeast(count, "gone", () => left),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/** How a test dials. */
export interface TestDial {
  readonly host?: string;
  /** More options of the chardev, from a comma on. */
  readonly more?: string;
  readonly handshakeTimeout?: number;
  readonly local?: TestLocal;
  readonly signal?: AbortSignal;
}

/** Runs a client to its end, which an abort is one of; gives its connection. */
export async function dial(
  registry: ObjectRegistry,
  address: TcpAddress,
  options: TestDial = {},
): Promise<ChardevChannel | undefined> {
  let channel: ChardevChannel | undefined;
  const events: ClientEvents = {
    connected: (connected) => channel = connected,
    left() {},
    retrying() {},
    logFailed() {},
  };
  const { host = "localhost", more = "", handshakeTimeout = 10_000, signal } = options;
  // localhost may be ::1 first, where the server is not.
  const family = host === "localhost" ? ",ipv6=off" : "";
  try {
    await runClient(
      parseSocketChardev(
        `socket,id=c0,host=${host},port=${address.port},tls-creds=tls0${family}${more}`,
      ),
      {
        objects: registry,
        local: options.local ?? testLocal(),
        events,
        handshakeTimeout,
        ...(signal === undefined ? {} : { signal }),
      },
    );
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
  return channel;
}

/** Talks both ways to prove that a client is served. */
export async function talk(
  registry: ObjectRegistry,
  server: Served,
  options: TestDial = {},
): Promise<ChardevChannel> {
  const word = crypto.randomUUID();
  server.local.type(`to the client ${word}`);
  return await converse(registry, server.address, {
    ...options,
    say: `to the server ${word}`,
    hear: `to the client ${word}`,
    heard: server.local.until(`to the server ${word}`),
  });
}

/** Dials, says something, waits until something is heard, and hangs up. */
export async function converse(
  registry: ObjectRegistry,
  address: TcpAddress,
  options: TestDial & {
    readonly say: string;
    readonly hear: string;
    /** The other side has what was said; where it is not an echo. */
    readonly heard?: Promise<void>;
  },
): Promise<ChardevChannel> {
  const local = testLocal();
  const stop = new AbortController();
  const running = dial(registry, address, { ...options, local, signal: stop.signal });
  local.type(options.say);
  const ended = running.then(() => {
    throw new Error(`the connection ended with ${JSON.stringify(local.shown())}`);
  });
  await Promise.race([Promise.all([local.until(options.hear), options.heard]), ended]);
  ended.catch(() => {});
  stop.abort();
  const channel = await running;
  assert(channel !== undefined);
  return channel;
}
