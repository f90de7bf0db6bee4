/** The demo with real QEMUs: their migration received and sent on, their serial port typed to. */

import { BaseError, decodePem } from "../base/mod.ts";
import { sendTyped } from "../chardev/mod.ts";
import { type Address, connect, listen, startTls } from "../channel/mod.ts";
import { parseCertificate } from "../creds/mod.ts";
import {
  fileSink,
  migrationEnd,
  openQmp,
  openStreamFile,
  type QmpClient,
  receiveStream,
  runState,
  sendStream,
} from "../migration/mod.ts";
import { type DemoGuest, HOSTS, LINE, type Stage, type Verified } from "./_demo_stage.ts";
import { readUntil } from "./_demo_text.ts";

/** Longest wait in ms for a QEMU to start. */
const START = 30_000;

const LOOPBACK = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

/**
 * A boot sector that prints `BOOT-OK` on the first serial port and then echoes every byte: poll
 * the line status register, read, write.
 */
const ECHO_SECTOR = "fc31c08ed88ed0bc007cbe397cac84c07405e81500ebf6f390bafd03eca80174f6baf803" +
  "ece80200ebed50bafd03eca82074fb58baf803eec3424f4f542d4f4b0d0a00";

/** An installed QEMU. */
export interface InstalledQemu {
  readonly program: string;
  readonly version: string;
}

/** Finds QEMU on PATH. */
export async function findQemu(): Promise<InstalledQemu | undefined> {
  const program = "qemu-system-x86_64";
  try {
    const { stdout } = await new Deno.Command(program, { args: ["--version"] }).output();
    const version = /version (\S+)/.exec(new TextDecoder().decode(stdout))?.[1];
    return version === undefined ? undefined : { program, version };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Guests of a real QEMU, emulated, without an operating system. */
export function qemuGuest(qemu: InstalledQemu): DemoGuest {
  return {
    description: `QEMU ${qemu.version}, emulated (32 MiB of memory)`,

    async *migrate(stage): AsyncGenerator<Verified> {
      const file = `${stage.dir}/guest.migration`;
      yield await receiveFromQemu(qemu, stage, file);
      yield await sendToQemu(qemu, stage, file);
    },

    async *serial(stage): AsyncGenerator<Verified> {
      const image = `${stage.dir}/echo.img`;
      const sector = new Uint8Array(512);
      sector.set(Uint8Array.fromHex(ECHO_SECTOR));
      sector.set([0x55, 0xaa], 510);
      Deno.writeFileSync(image, sector);
      // deno-fmt-ignore
      await using machine = await startQemu(qemu, stage, [
        "-S",
        "-object", tlsObject(stage, HOSTS[1], "server"),
        "-drive", `format=raw,file=${image.replaceAll(",", ",,")},if=ide,snapshot=on`,
        "-device", "isa-serial,chardev=c0",
        "-chardev", "socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0",
      ]);
      const start = performance.now();
      await using channel = await startTls(await connect(await serialAddress(machine.qmp)), {
        creds: stage.objects.tlsCreds("a-client", "client"),
        hostname: HOSTS[1],
      });
      await machine.qmp.execute("cont");
      const banner = await readUntil(channel, "BOOT-OK\r\n");
      await sendTyped(channel, new TextEncoder().encode(LINE));
      await readUntil(channel, LINE);
      yield {
        what: `${HOSTS[0]} types to the serial port of QEMU on ${HOSTS[1]}`,
        name: HOSTS[1],
        client: subjectOf(stage, HOSTS[0], "client"),
        version: channel.facts.version,
        cipher: channel.facts.cipher,
        bytes: banner.length + 2 * LINE.length,
        seconds: (performance.now() - start) / 1000,
        result: `the guest booted, and "${LINE}" came back from it`,
      };
    },
  };
}

async function receiveFromQemu(qemu: InstalledQemu, stage: Stage, file: string): Promise<Verified> {
  await using listener = await listen(LOOPBACK);
  await using machine = await startQemu(qemu, stage, [
    "-object",
    tlsObject(stage, HOSTS[0], "client"),
  ]);
  const failed = new AbortController();
  const receiving = (async () => {
    const channel = await startTls(await listener.accept(failed.signal), {
      creds: stage.objects.tlsCreds("b-server", "server"),
      noTickets: true,
    });
    const { summary, elapsed } = await receiveStream(channel, { begin: () => fileSink(file) });
    return { facts: channel.facts, summary, elapsed };
  })();
  await machine.qmp.execute("migrate-set-parameters", {
    "tls-creds": "tls0",
    "tls-hostname": HOSTS[1],
  });
  const { port } = listener.address as Address & { port: number };
  await machine.qmp.execute("migrate", { uri: `tcp:127.0.0.1:${port}` });
  const ending = migrationEnd(machine.qmp).then((end) => {
    // A source that failed before it dialled is not waited for.
    if (end.status !== "completed") failed.abort();
    expect("migration", end.status, "completed", end["error-desc"]);
  });
  const [, { facts, summary, elapsed }] = await Promise.all([ending, receiving]);
  return {
    what: `QEMU on ${HOSTS[0]} migrates to this toolkit on ${HOSTS[1]}`,
    name: `${HOSTS[1]} (checked by QEMU)`,
    client: parseCertificate(facts.peerChain[0]!).subject.text,
    version: facts.version,
    cipher: facts.cipher,
    bytes: summary.bytes,
    seconds: elapsed / 1000,
    result: `kept whole in ${file}: ${summary.machine}, ${summary.devices.length} devices`,
  };
}

async function sendToQemu(qemu: InstalledQemu, stage: Stage, file: string): Promise<Verified> {
  await using machine = await startQemu(qemu, stage, [
    "-object",
    tlsObject(stage, HOSTS[1], "server"),
    "-incoming",
    "defer",
  ]);
  await machine.qmp.execute("migrate-set-parameters", { "tls-creds": "tls0" });
  await machine.qmp.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" });
  const state = await machine.qmp.execute("query-migrate") as {
    readonly "socket-address": readonly { readonly port: string }[];
  };
  const port = Number(state["socket-address"][0]!.port);
  const channel = await startTls(await connect({ kind: "tcp", host: "127.0.0.1", port }), {
    creds: stage.objects.tlsCreds("a-client", "client"),
    hostname: HOSTS[1],
  });
  const { facts } = channel;
  using saved = await openStreamFile(file);
  const { bytes, elapsed } = await sendStream(channel, saved);
  const status = await runState(machine.qmp, "running");
  return {
    what: `this toolkit on ${HOSTS[0]} sends it on to QEMU on ${HOSTS[1]}`,
    name: HOSTS[1],
    client: `${subjectOf(stage, HOSTS[0], "client")} (checked by QEMU)`,
    version: facts.version,
    cipher: facts.cipher,
    bytes,
    seconds: elapsed / 1000,
    result: `the guest is ${status} there`,
  };
}

interface Machine extends AsyncDisposable {
  readonly qmp: QmpClient;
}

let machines = 0;
const running = new Set<Deno.ChildProcess>();

/** Ends the QEMUs that run, for a demo that is interrupted. */
export function stopMachines(): void {
  for (const child of running) child.kill("SIGKILL");
}

async function startQemu(
  qemu: InstalledQemu,
  stage: Stage,
  args: readonly string[],
): Promise<Machine> {
  const socket = `${stage.dir}/qmp-${machines++}`;
  // deno-fmt-ignore
  const child = new Deno.Command(qemu.program, {
    args: [
      "-accel", "tcg", "-machine", "pc", "-m", "32M", "-nodefaults", "-no-user-config",
      "-display", "none", "-qmp", `unix:${socket.replaceAll(",", ",,")},server=on,wait=off`,
      ...args,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  running.add(child);
  const stderr = new Response(child.stderr).text();
  let ended = false;
  const status = child.status.then(() => {
    ended = true;
    running.delete(child);
  });
  const stop = async () => {
    if (!ended) child.kill("SIGKILL");
    await status;
    await stderr;
    Deno.removeSync(socket);
  };
  try {
    for (const start = Date.now(); Date.now() - start < START;) {
      if (ended) break;
      const channel = await connect({ kind: "unix", path: socket }).catch(() => undefined);
      if (channel === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        continue;
      }
      const qmp = await openQmp(channel);
      return {
        qmp,
        async [Symbol.asyncDispose]() {
          qmp.close();
          await stop();
        },
      };
    }
    expect("QEMU", "ended", "running", ended ? (await stderr).trim() : "it offers no QMP");
    throw new Error("unreachable");
  } catch (error) {
    if (!ended) await stop();
    throw error;
  }
}

async function serialAddress(qmp: QmpClient): Promise<Address> {
  const rows = await qmp.execute("query-chardev") as { label: string; filename: string }[];
  const row = rows.find((one) => one.label === "c0");
  const port = Number(/:(\d+),server/.exec(row?.filename ?? "")?.[1]);
  return { kind: "tcp", host: "127.0.0.1", port };
}

function tlsObject(stage: Stage, host: string, endpoint: "client" | "server"): string {
  const dir = stage.credentials(host).replaceAll(",", ",,");
  return `tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint},verify-peer=on`;
}

/** The subject that a peer checks: the first certificate of the host's file. */
function subjectOf(stage: Stage, host: string, endpoint: "client" | "server"): string {
  const pem = Deno.readTextFileSync(`${stage.credentials(host)}/${endpoint}-cert.pem`);
  return parseCertificate(decodePem(pem)[0]!.der).subject.text;
}

function expect(what: string, found: string, wanted: string, cause?: string): void {
  if (found === wanted) return;
  throw new BaseError("UNEXPECTED", {
    text: `${what} is ${found}, not ${wanted}${cause ? `: ${cause}` : ""}`,
  });
}
