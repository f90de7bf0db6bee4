/**
 * The listening side of WebSocket (RFC 6455) as QEMU's sockets speak it: binary frames, its own
 * answers to the letter, its own reasons to hang up (io/channel-websock.c).
 */

import { type ChardevChannel, onTopOf } from "./describe.ts";
import { ChardevError } from "./error.ts";
import { frameHeader, OPCODE, websocketReader } from "./_websocket_frames.ts";
import { answerHandshake, type HandshakeAnswer } from "./_websocket_handshake.ts";

/** Most bytes of a request. */
export const MAX_REQUEST = 4096;
/** Most bytes of data in a frame that is sent. */
export const MAX_FRAME = 8192;

/**
 * Answers the opening request on a connection and gives the data of its frames. Pings are
 * answered; a close frame is answered and is the end of the stream.
 *
 * @param now The date of the answer.
 * @throws {ChardevError} `WEBSOCKET` If the request was refused, whose answer the peer has then.
 * @throws as the channel's `read` and `write` do.
 */
export async function startWebsocket(
  below: ChardevChannel,
  now: Date = new Date(),
): Promise<ChardevChannel> {
  const { answer, rest } = await readRequest(below, now);
  await below.write(new TextEncoder().encode(answer.text));
  if (answer.refused !== undefined) throw refusal(below, answer.refused);
  /** The writes of data and of answers to the peer's frames take turns. */
  let last: Promise<void> = Promise.resolve();
  let left = false;
  const send = (opcode: number, payload: Uint8Array) => {
    const sending = last.then(() => sendFrame(below, opcode, payload));
    last = sending.catch(() => {});
    return sending;
  };
  const reader = websocketReader(below, rest);
  return onTopOf(below, {
    async read(into) {
      while (!left) {
        const event = await reader.next(into);
        switch (event.kind) {
          case "data":
            return event.length;
          case "end":
            left = true;
            break;
          case "ping":
            await send(OPCODE.PONG, event.payload);
            break;
          case "close":
            await send(OPCODE.CLOSE, closePayload(event.code, event.reason)).catch(() => {});
            left = true;
            if (event.fault !== undefined) throw broken(below, event.fault);
            await below.closeWrite().catch(() => {});
            break;
        }
      }
      return null;
    },
    async write(bytes) {
      for (let done = 0; done < bytes.length; done += MAX_FRAME) {
        await send(OPCODE.BINARY, bytes.subarray(done, done + MAX_FRAME));
      }
    },
    async closeWrite() {
      if (!left) await send(OPCODE.CLOSE, closePayload(1000, "")).catch(() => {});
      await below.closeWrite();
    },
  });
}

async function sendFrame(
  channel: ChardevChannel,
  opcode: number,
  payload: Uint8Array,
): Promise<void> {
  const header = frameHeader(opcode, payload.length);
  const frame = new Uint8Array(header.length + payload.length);
  frame.set(header);
  frame.set(payload, header.length);
  await channel.write(frame);
}

function closePayload(code: number, reason: string): Uint8Array {
  const text = new TextEncoder().encode(reason);
  return Uint8Array.of(code >> 8, code & 0xff, ...text);
}

async function readRequest(
  channel: ChardevChannel,
  now: Date,
): Promise<{ answer: HandshakeAnswer; rest: Uint8Array }> {
  const buffer = new Uint8Array(MAX_REQUEST);
  for (let length = 0;;) {
    const count = await channel.read(buffer.subarray(length));
    if (count === null) throw refusal(channel, "it left before its request was whole");
    length += count;
    const text = String.fromCharCode(...buffer.subarray(0, length));
    const end = text.indexOf("\r\n\r\n");
    if (end >= 0) {
      return {
        answer: answerHandshake(text.slice(0, end + 2), now),
        rest: buffer.slice(end + 4, length),
      };
    }
    if (length === buffer.length) {
      return { answer: answerHandshake(undefined, now), rest: new Uint8Array(0) };
    }
  }
}

function refusal(channel: ChardevChannel, cause: string): ChardevError {
  return new ChardevError("WEBSOCKET", {
    peer: channel.peer,
    cause,
    hint: "the peer must be a WebSocket client: ws://HOST:PORT/, wss:// with TLS",
  });
}

function broken(channel: ChardevChannel, cause: string): ChardevError {
  return new ChardevError("WEBSOCKET", {
    peer: channel.peer,
    cause,
    hint: [
      "a client sends masked binary frames (RFC 6455, section 5)",
      "a browser does for what is no text: socket.send(new TextEncoder().encode(text))",
    ],
  });
}
