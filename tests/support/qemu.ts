/** Real QEMUs for tests: tiny, without an OS, driven over QMP, gone with the test. */

import { type Address, connect } from "../../channel/mod.ts";
import { openQmp, type QmpClient } from "../../migration/qmp_client.ts";

/** How a QEMU is started. */
export interface QemuOptions {
  /** `pc` by default. */
  readonly machine?: string;
  /** More arguments: `-incoming`, `-object`, `-S`. */
  readonly args?: readonly string[];
  /** Size of memory as `-m` takes it; `32M` by default. */
  readonly memory?: string;
}

/** A running QEMU. */
export interface Qemu extends AsyncDisposable {
  readonly qmp: QmpClient;
  readonly pid: number;
  /** All that it wrote to standard error so far. */
  stderr(): string;
  /** Waits until it ends by itself, and gives its exit code. */
  readonly exit: Promise<number>;
  /** Kills it as a crash would. */
  kill(): void;
}

/** Longest time in ms that a start may take, on a machine that is busy. */
const START_TIMEOUT = 30_000;

/** The address of an incoming QEMU that was given port 0. */
export async function incomingAddress(qemu: Qemu): Promise<Address> {
  const state = await qemu.qmp.execute("query-migrate") as {
    "socket-address"?: { host: string; port: string }[];
  };
  const at = state["socket-address"]?.[0];
  if (at === undefined) throw new Error(`it does not listen: ${qemu.stderr()}`);
  return { kind: "tcp", host: at.host, port: Number(at.port) };
}

/** Starts a QEMU; one without `-incoming` runs its (empty) machine at once. */
export async function startQemu(options: QemuOptions = {}): Promise<Qemu> {
  const folder = Deno.makeTempDirSync({ prefix: "virtcreds-qemu-" });
  const socket = `${folder}/qmp`;
  // deno-fmt-ignore
  const child = new Deno.Command("qemu-system-x86_64", {
    args: [
      "-accel", "tcg", "-nodefaults", "-display", "none", "-no-user-config",
      "-machine", options.machine ?? "pc", "-m", options.memory ?? "32M",
      "-qmp", `unix:${socket},server=on,wait=off`, ...options.args ?? [],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let stderr = "";
  let ended = false;
  const reading = (async () => {
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) stderr += chunk;
  })();
  const exit = child.status.then(async ({ code }) => {
    ended = true;
    await reading;
    return code;
  });
  const kill = () => {
    if (!ended) child.kill("SIGKILL");
  };
  const dispose = async () => {
    kill();
    await exit;
    Deno.removeSync(folder, { recursive: true });
  };
  try {
    const qmp = await connectQmp(socket, () => ended, () => stderr);
    return {
      qmp,
      pid: child.pid,
      stderr: () => stderr,
      exit,
      kill,
      async [Symbol.asyncDispose]() {
        qmp.close();
        await dispose();
      },
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function connectQmp(
  path: string,
  ended: () => boolean,
  stderr: () => string,
): Promise<QmpClient> {
  for (const start = Date.now(); Date.now() - start < START_TIMEOUT;) {
    if (ended()) throw new Error(`QEMU ended at its start: ${stderr()}`);
    const channel = await connect({ kind: "unix", path }).catch(() => undefined);
    if (channel !== undefined) return await openQmp(channel, { timeout: START_TIMEOUT });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`QEMU offers no QMP after ${START_TIMEOUT} ms: ${stderr()}`);
}
