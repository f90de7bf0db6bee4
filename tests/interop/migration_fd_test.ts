import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatAddress } from "../../channel/mod.ts";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { qemuTls, startProgram, startTarget, tlsFlags } from "../migration/programs.ts";
import { PROJECT, run } from "../support/command.ts";
import { socketPair } from "../support/descriptors.ts";
import { handingClient } from "../support/handing_client.ts";
import { makePki, type Pki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { incomingAddress, type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

async function makeHosts(folder: string): Promise<Pki> {
  return await makePki(`${folder}/pki`, {
    hosts: [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }],
  });
}

/** A guest in a file, that a QEMU has migrated there. */
async function record(pki: Pki, file: string): Promise<void> {
  await using target = await startTarget([...tlsFlags(pki.host("vm2"), "server"), "--out", file]);
  await using qemu = await startQemu({ args: ["-S"] });
  await qemuTls(qemu, pki.host("vm1"), "client");
  await qemu.qmp.execute("migrate", { uri: target.uri });
  assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
  assertEquals(await target.exit, 0, target.stderr());
}

/** A QEMU that waits, over TLS. */
async function waitingQemu(pki: Pki, uri: string): Promise<Qemu> {
  const qemu = await startQemu({ args: ["-incoming", "defer"] });
  await qemuTls(qemu, pki.host("vm2"), "server");
  await qemu.qmp.execute("migrate-incoming", { uri });
  return qemu;
}

programTest(
  "a manager hands connections over with getfd, to a source and a target, to ours and to QEMU",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makeHosts(temp.path);
    const file = `${temp.path}/guest.mig`;
    const serve = (name: string) => `unix:${temp.path}/${name},server=on,wait=off`;
    {
      // A QEMU writes to one end, our target reads from the other, and both were opened by us.
      await using target = startProgram("target", [
        ...tlsFlags(pki.host("vm2"), "server"),
        ...["--incoming", "defer", "--out", file, "--qmp", serve("target")],
      ]);
      await target.says(/serving QMP on/);
      await using ours = await handingClient(`${temp.path}/target`);
      await using qemu = await startQemu({ args: ["-S", "-qmp", serve("qemu")] });
      await using theirs = await handingClient(`${temp.path}/qemu`);
      await qemuTls(qemu, pki.host("vm1"), "client", {}, { "tls-hostname": "vm2" });
      const [left, right] = socketPair();
      await theirs.hand("out", left);
      await ours.hand("in", right);
      await ours.qmp.execute("migrate-incoming", { uri: "fd:in" });
      await theirs.qmp.execute("migrate", { uri: "fd:out" });
      assertEquals((await migrationEnd(theirs.qmp)).status, "completed");
      await runState(ours.qmp, "paused");
      assertEquals(await ours.qmp.execute("query-migrate"), { status: "completed" });
      ours.qmp.close();
      assertEquals(await target.exit, 0, target.stderr());
      assertMatch(target.stderr(), /^completed: .*, TLS1.3 \S+, peer .*CN=vm1, kept in /m);
    }
    // And back, the name of the certificate being none of the transport's.
    for (const hostname of ["", "vm2"]) {
      await using qemu = await startQemu({ args: ["-incoming", "defer", "-qmp", serve("back")] });
      await using theirs = await handingClient(`${temp.path}/back`);
      await qemuTls(qemu, pki.host("vm2"), "server");
      await using source = startProgram("source", [
        ...tlsFlags(pki.host("vm1"), "client"),
        ...["--in", file, "--qmp", serve(`source${hostname}`)],
      ]);
      await source.says(/serving QMP on/);
      await using ours = await handingClient(`${temp.path}/source${hostname}`);
      const [left, right] = socketPair();
      await ours.hand("out", left);
      await theirs.hand("in", right);
      await theirs.qmp.execute("migrate-incoming", { uri: "fd:in" });
      await ours.qmp.execute("migrate-set-parameters", { "tls-hostname": hostname });
      await ours.qmp.execute("migrate", { uri: "fd:out" });
      const end = await migrationEnd(ours.qmp);
      if (hostname === "") {
        assertEquals(end["error-desc"], "No hostname for certificate validation");
      } else {
        assertEquals(end.status, "completed", source.stderr() + qemu.stderr());
        await runState(theirs.qmp, "prelaunch");
      }
    }
  },
);

programTest(
  "a shell hands its descriptors to our programs: sockets, pipes and files",
  ["qemu-system-x86_64", "bash"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makeHosts(temp.path);
    const file = `${temp.path}/guest.mig`;
    await record(pki, file);
    const program = (name: string) =>
      `exec '${Deno.execPath()}' run -A --config '${PROJECT}/deno.json' ` +
      `'${PROJECT}/migration/${name}.ts'`;
    const bash = (script: string) => run("bash", ["-c", script], { cwd: temp.path });

    // A connection that bash has dialled.
    await using qemu = await waitingQemu(pki, "tcp:127.0.0.1:0");
    const { port } = await incomingAddress(qemu) as { port: number };
    const flags = tlsFlags(pki.host("vm1"), "client").join(" ");
    const dialled = await bash(
      `exec 7<>/dev/tcp/127.0.0.1/${port}; ${program("source")} ${flags} --tls-hostname vm2 ` +
        "--migrate fd:7 --in guest.mig",
    );
    assertEquals(dialled.code, 0, dialled.stderr + qemu.stderr());
    await runState(qemu.qmp, "prelaunch");

    // A pipe that a file is written through, and the file itself.
    const piped = await bash(`cat guest.mig | ${program("target")} --incoming fd:0 --out copy`);
    assertEquals(piped.code, 0, piped.stderr);
    const opened = await bash(`${program("target")} --incoming fd:8 --out copy2 8<copy`);
    assertEquals(opened.code, 0, opened.stderr);
    const written = await bash(`${program("source")} --migrate fd:9 --in copy2 9>copy3`);
    assertEquals(written.code, 0, written.stderr);
    const guest = Deno.readFileSync(file);
    for (const copy of ["copy", "copy2", "copy3"]) {
      assert(Deno.readFileSync(`${temp.path}/${copy}`).every((byte, i) => byte === guest[i]), copy);
    }
    const cut = await bash(`head -c 1000 guest.mig | ${program("target")} --incoming fd:0 --out x`);
    assertEquals(cut.code, 1);
    assertMatch(cut.stderr, /^error: the stream is not complete: it ends at byte 1000,/m);
  },
);

programTest(
  "a guest is saved to a file and comes back from it, also from behind a header",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makeHosts(temp.path);
    const file = `${temp.path}/guest.mig`;
    await record(pki, file);
    const guest = Deno.readFileSync(file);
    const program = async (name: "source" | "target", args: string[]) => {
      await using started = startProgram(name, args);
      return { code: await started.exit, stderr: started.stderr() };
    };
    const save = (uri: string, more: string[] = []) =>
      program("source", ["--in", file, "--migrate", uri, ...more]);
    const load = (uri: string, out: string) =>
      program("target", ["--incoming", uri, "--out", `${temp.path}/${out}`]);

    const saved = `${temp.path}/saved`;
    assertEquals((await save(`file:${saved}`)).code, 0);
    assertEquals(Deno.readFileSync(saved), guest);
    assertEquals(Deno.statSync(saved).mode! & 0o777, 0o600);
    Deno.writeFileSync(`${temp.path}/header`, new Uint8Array(4096).fill(1));
    const behind = `file:${temp.path}/header,offset=0x1000`;
    assertEquals((await save(behind)).code, 0);
    assertEquals(Deno.readFileSync(`${temp.path}/header`).subarray(4096), guest);
    for (const [uri, out] of [[`file:${saved}`, "a"], [behind, "b"]] as const) {
      const loaded = await load(uri, out);
      assertEquals(loaded.code, 0, loaded.stderr);
      assertEquals(Deno.readFileSync(`${temp.path}/${out}`), guest);
    }
    // Its own bytes are no stream.
    assertMatch((await load(`file:${temp.path}/header`, "c")).stderr, /Not a migration stream/);
    const secured = await save(`file:${saved}`, [...tlsFlags(pki.host("vm1"), "client")]);
    assertEquals(secured.code, 2);
    assertMatch(secured.stderr, /^error: tls-creds cannot be used with file:/m);
  },
);

programTest(
  "an IPv6 literal is checked against the certificate, brackets and all",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, {
      hosts: [{ name: "vm1" }, { name: "vm2", ip: ["::1"] }, { name: "vm3", ip: ["127.0.0.1"] }],
    });
    const file = `${temp.path}/guest.mig`;
    const target = (host: string) =>
      startProgram("target", [
        ...tlsFlags(pki.host(host), "server"),
        ...["--incoming", "tcp:[::1]:0", "--out", file],
      ]);
    {
      await using ours = target("vm2");
      const [, uri] = await ours.says(/listening on (tcp:\[::1\]:\d+)/);
      await using qemu = await startQemu({ args: ["-S"] });
      await qemuTls(qemu, pki.host("vm1"), "client");
      await qemu.qmp.execute("migrate", { uri });
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed", ours.stderr());
      assertEquals(await ours.exit, 0, ours.stderr());
    }
    for (const host of ["vm3", "vm2"]) {
      await using qemu = await startQemu({ args: ["-incoming", "defer"] });
      await qemuTls(qemu, pki.host(host), "server");
      await qemu.qmp.execute("migrate-incoming", { uri: "tcp:[::1]:0" });
      const uri = formatAddress(await incomingAddress(qemu));
      assertMatch(uri, /^tcp:\[::1\]:\d+$/);
      const flags = tlsFlags(pki.host("vm1"), "client");
      await using source = startProgram("source", [...flags, "--migrate", uri, "--in", file]);
      const code = await source.exit;
      assertEquals(code, host === "vm2" ? 0 : 1, source.stderr());
      if (code === 1) assertMatch(source.stderr(), /Certificate does not match the hostname ::1/);
    }
  },
);
