import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { connect } from "../../channel/connect.ts";
import { descriptorChannel } from "../../channel/descriptor.ts";
import { ChannelError } from "../../channel/error.ts";
import { openFileChannel } from "../../channel/file.ts";
import { listenPassing } from "../../channel/listen_passing.ts";
import { readToEnd } from "../support/channels.ts";
import { sendDescriptor, socketPair } from "../support/descriptors.ts";
import { temporaryDirectory } from "../support/temp.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

Deno.test("descriptorChannel() carries bytes both ways and tells ends apart", async () => {
  const [left, right] = socketPair();
  await using a = descriptorChannel(left);
  await using b = descriptorChannel(right);
  const much = new Uint8Array(3_000_000).map((_, i) => i * 7);
  // More than the kernel holds: the writer has to wait for the reader.
  const [received] = await Promise.all([
    readToEnd(b),
    a.write(much).then(() => a.closeWrite()),
  ]);
  assertEquals(received, much);
  await b.write(bytes("back"));
  const into = new Uint8Array(8);
  assertEquals(await a.read(into), 4);
  b.close();
  assertEquals(await a.read(into), null);
});

Deno.test("descriptorChannel() lets a close end what waits", async () => {
  const [left, right] = socketPair();
  await using _other = descriptorChannel(right);
  const channel = descriptorChannel(left);
  const reading = channel.read(new Uint8Array(1));
  channel.close();
  channel.close();
  assertEquals(await reading, null);
  await assertRejects(() => channel.write(bytes("x")), ChannelError, "is closed");
});

Deno.test("descriptorChannel() refuses a number that is no descriptor, with a hint", () => {
  const error = assertThrows(() => descriptorChannel(999), ChannelError);
  assertEquals(error.message, "cannot use fd:999: Bad file descriptor");
  assert(error.hints.length > 0);
});

Deno.test("listenPassing() hands over the descriptors that come with bytes", async () => {
  using temp = temporaryDirectory();
  const path = `${temp.path}/s`;
  using listener = (await listenPassing({ kind: "unix", path }))!;
  Deno.writeTextFileSync(`${temp.path}/f`, "content");
  using file = Deno.openSync(`${temp.path}/f`);
  const accepting = listener.accept();
  sendDescriptor(path, bytes("take this"), `${temp.path}/f`);
  await using channel = await accepting;
  assertEquals(channel.takeDescriptor(), undefined);
  const into = new Uint8Array(4);
  assertEquals(await channel.read(into), 4);
  await using passed = descriptorChannel(channel.takeDescriptor()!);
  assertEquals(channel.takeDescriptor(), undefined);
  assertEquals(text(await readToEnd(passed)), "content");
  assertEquals(text(await readToEnd(channel)), " this");
  assert(file !== undefined);
});

Deno.test("listenPassing() takes a dead socket over, leaves a live one, and cleans up", async () => {
  using temp = temporaryDirectory();
  const path = `${temp.path}/s`;
  const first = (await listenPassing({ kind: "unix", path }))!;
  const error = await assertRejects(() => listenPassing({ kind: "unix", path }), ChannelError);
  assertEquals(error.message, `Failed to bind socket to ${path}: Address already in use`);
  const accepting = first.accept();
  (await connect({ kind: "unix", path })).close();
  (await accepting).close();
  first.close();
  assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
  await assertRejects(() => first.accept(), ChannelError, "is closed");
});

Deno.test("openFileChannel() reads from its offset, and nothing but regular files", async () => {
  using temp = temporaryDirectory();
  const path = `${temp.path}/f`;
  Deno.writeTextFileSync(path, "0123456789");
  await using channel = await openFileChannel({ kind: "file", path, offset: 4 });
  assertEquals(text(await readToEnd(channel)), "456789");
  await assertRejects(() => channel.write(bytes("x")), ChannelError, "a file is not answered");
  for (const [wrong, why] of [[temp.path, "Not a regular file"], [`${path}x`, "No such file"]]) {
    const opening = openFileChannel({ kind: "file", path: wrong!, offset: 0 });
    await assertRejects(() => opening, ChannelError, why);
  }
});
