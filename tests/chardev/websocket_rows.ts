/** WebSocket requests and frames, and what QEMU 7.2 answers them. */

const bytes = (text: string) => new TextEncoder().encode(text);

/** A request, each header of which may be left out (`undefined`) or changed. */
export function request(
  line = "GET / HTTP/1.1",
  changes: Readonly<Record<string, string | undefined>> = {},
): string {
  const headers: Record<string, string | undefined> = {
    Host: "h",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...changes,
  };
  return `${line}\r\n` +
    Object.entries(headers).filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}: ${value}\r\n`).join("") +
    "\r\n";
}

/** One that is right. */
export const REQUEST: string = request();

const many = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`X-${i}`, "a"]));

/** Rows of `[name, request, status]`. */
export const REQUEST_ROWS: readonly (readonly [name: string, request: string, status: string])[] = [
  ["right", REQUEST, "101"],
  ["protocol binary", request(undefined, { "Sec-WebSocket-Protocol": "binary" }), "101"],
  ["two protocols", request(undefined, { "Sec-WebSocket-Protocol": "base64, binary" }), "101"],
  ["another protocol", request(undefined, { "Sec-WebSocket-Protocol": "chat" }), "400"],
  ["path", request("GET /x HTTP/1.1"), "404"],
  ["path and version", request("GET /x HTTP/1.0"), "404"],
  ["method", request("POST / HTTP/1.1"), "400"],
  ["HTTP/1.0", request("GET / HTTP/1.0"), "400"],
  ["one word", "GET\r\n\r\n", "400"],
  ["no version", "GET /\r\n\r\n", "400"],
  ["nothing", "\r\n\r\n", "400"],
  ["no host", request(undefined, { Host: undefined }), "400"],
  ["no key", request(undefined, { "Sec-WebSocket-Key": undefined }), "400"],
  ["a short key", request(undefined, { "Sec-WebSocket-Key": "abc" }), "400"],
  ["version 8", request(undefined, { "Sec-WebSocket-Version": "8" }), "400"],
  ["keep-alive", request(undefined, { Connection: "keep-alive, Upgrade" }), "101"],
  ["lower case", request(undefined, { Connection: "upgrade" }), "101"],
  ["close", request(undefined, { Connection: "close" }), "400"],
  ["WebSocket", request(undefined, { Upgrade: "WebSocket" }), "101"],
  ["h2c", request(undefined, { Upgrade: "h2c" }), "400"],
  ["too long", request(undefined, { X: "a".repeat(5000) }), "403"],
  ["no colon", "GET / HTTP/1.1\r\nfoo\r\n\r\n", "400"],
  ["32 headers", request(undefined, many(27)), "101"],
  ["33 headers", request(undefined, many(28)), "400"],
  ["no blanks", REQUEST.replaceAll(": ", ":"), "101"],
];

/** A frame as a client sends it. */
export function clientFrame(
  first: number,
  payload: Uint8Array = new Uint8Array(0),
  options: { mask?: readonly number[]; unmasked?: boolean; length?: number } = {},
): Uint8Array {
  const { mask = [1, 2, 3, 4], unmasked = false, length = payload.length } = options;
  const flag = unmasked ? 0 : 0x80;
  const size = length < 126 ? [flag | length] : [flag | 126, length >> 8, length & 0xff];
  const key = unmasked ? [] : mask;
  const body = [...payload].map((byte, i) => unmasked ? byte : byte ^ mask[i % 4]!);
  return Uint8Array.of(first, ...size, ...key, ...body);
}

const join = (...parts: readonly Uint8Array[]) =>
  Uint8Array.from(parts.flatMap((part) => [...part]));
const close = (code: number, reason: string) =>
  Uint8Array.of(0x88, reason.length + 2, code >> 8, code & 0xff, ...bytes(reason));
const NOTHING = new Uint8Array(0);
const BYE = close(1000, "peer requested close");
const UNSUPPORTED = close(1003, "only binary, close, ping, and pong frames are supported");

/** Rows of `[name, what the client sends, the data in it, what it is answered]`. */
export const FRAME_ROWS: readonly (readonly [
  name: string,
  frames: Uint8Array,
  data: string,
  answer: Uint8Array,
])[] = [
  ["binary", clientFrame(0x82, bytes("x")), "x", NOTHING],
  ["empty", join(clientFrame(0x82), clientFrame(0x82, bytes("y"))), "y", NOTHING],
  ["long", clientFrame(0x82, bytes("z".repeat(300))), "z".repeat(300), NOTHING],
  ["ping", clientFrame(0x89), "", Uint8Array.of(0x8a, 0)],
  ["ping with data", clientFrame(0x89, bytes("hi")), "", Uint8Array.of(0x8a, 2, 0x68, 0x69)],
  ["pong", join(clientFrame(0x8a, bytes("x")), clientFrame(0x82, bytes("y"))), "y", NOTHING],
  ["fragments", join(clientFrame(0x02, bytes("a")), clientFrame(0x80, bytes("b"))), "ab", NOTHING],
  ["reserved bits", clientFrame(0xc2, bytes("r")), "r", NOTHING],
  ["close", clientFrame(0x88), "", BYE],
  ["close with a code", clientFrame(0x88, Uint8Array.of(3, 0xe9)), "", BYE],
  ["close and more", join(clientFrame(0x88), clientFrame(0x82, bytes("x"))), "", BYE],
  ["text", clientFrame(0x81, bytes("abc")), "", UNSUPPORTED],
  ["opcode 3", clientFrame(0x83, bytes("a")), "", UNSUPPORTED],
  [
    "unmasked",
    clientFrame(0x82, bytes("abc"), { unmasked: true }),
    "",
    close(1002, "client frames must be masked"),
  ],
  [
    "fragmented ping",
    clientFrame(0x09, bytes("a")),
    "",
    close(1008, "only binary frames may be fragmented"),
  ],
  [
    "big ping",
    clientFrame(0x89, new Uint8Array(126)),
    "",
    close(1002, "control frame is too large"),
  ],
];
