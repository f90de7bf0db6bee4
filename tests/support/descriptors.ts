/** Raw descriptors for tests, by the C library: Deno hands none out. */

const libc = Deno.dlopen("libc.so.6", {
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  pipe: { parameters: ["buffer"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
});

const { symbols: c } = libc;
const [AF_UNIX, AF_INET, SOL_SOCKET, SCM_RIGHTS] = [1, 2, 1, 1];
/** SOCK_STREAM with SOCK_CLOEXEC: what a test starts meanwhile holds no end of it. */
const STREAM = 1 | 0o2000000;
const O_RDWR = 2;

/** Two connected unix sockets, by their numbers; whoever takes them closes them. */
export function socketPair(): [number, number] {
  const pair = new Int32Array(2);
  if (c.socketpair(AF_UNIX, STREAM, 0, new Uint8Array(pair.buffer)) !== 0) {
    throw new Error("no socketpair");
  }
  return [pair[0]!, pair[1]!];
}

/** A TCP socket that is bound to a free port of 127.0.0.1, by its number; nobody listens on it yet. */
export function boundSocket(): number {
  const number = c.socket(AF_INET, STREAM, 0);
  const address = new Uint8Array(16);
  address.set([AF_INET, 0, 0, 0, 127, 0, 0, 1]);
  if (c.bind(number, address, address.length) !== 0) throw new Error("not bound");
  return number;
}

/** The two ends of a pipe, by their numbers. */
export function pipeEnds(): [number, number] {
  const ends = new Int32Array(2);
  if (c.pipe(new Uint8Array(ends.buffer)) !== 0) throw new Error("no pipe");
  return [ends[0]!, ends[1]!];
}

/** A connection to a unix socket that can send a descriptor with its bytes. */
export interface SendingSocket extends Disposable {
  /** Sends bytes, and a descriptor by its number with them. */
  send(bytes: Uint8Array<ArrayBuffer>, descriptor?: number): void;
  readonly number: number;
}

/** Connects to a unix socket. */
export function sendingSocket(path: string): SendingSocket {
  const number = c.socket(AF_UNIX, STREAM, 0);
  const name = new TextEncoder().encode(`${path}\0`);
  const address = new Uint8Array(2 + name.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  if (c.connect(number, address, address.length) !== 0) throw new Error(`nobody at ${path}`);
  return {
    number,
    send: (bytes, descriptor) => sendMessage(number, bytes, descriptor),
    [Symbol.dispose]: () => void c.close(number),
  };
}

/** Connects, sends bytes with the descriptor of a file, and hangs up. */
export function sendDescriptor(path: string, bytes: Uint8Array<ArrayBuffer>, file: string): void {
  using socket = sendingSocket(path);
  const descriptor = c.open(new TextEncoder().encode(`${file}\0`), O_RDWR);
  socket.send(bytes, descriptor);
  c.close(descriptor);
}

/** Closes a descriptor that was passed on. */
export function closeNumber(number: number): void {
  c.close(number);
}

function sendMessage(
  socket: number,
  bytes: Uint8Array<ArrayBuffer>,
  descriptor: number | undefined,
): void {
  const address = (data: Uint8Array<ArrayBuffer>) =>
    BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(data)));
  const control = new Uint8Array(24);
  const view = new DataView(control.buffer);
  view.setBigUint64(0, 20n, true);
  view.setInt32(8, SOL_SOCKET, true);
  view.setInt32(12, SCM_RIGHTS, true);
  if (descriptor !== undefined) view.setInt32(16, descriptor, true);
  const piece = new BigUint64Array([address(bytes), BigInt(bytes.length)]);
  const message = new BigUint64Array([
    0n,
    0n,
    address(new Uint8Array(piece.buffer)),
    1n,
    descriptor === undefined ? 0n : address(control),
    descriptor === undefined ? 0n : BigInt(control.length),
    0n,
  ]);
  const sent = c.sendmsg(socket, new Uint8Array(message.buffer), 0);
  if (Number(sent) !== bytes.length) throw new Error("not all was sent");
}
