/** The opening handshake of WebSocket (RFC 6455, section 4), answered in QEMU's words. */

import { createHash } from "node:crypto";
import { printable } from "../base/mod.ts";

/** RFC 6455, section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION = "13";
const KEY_LENGTH = 24;
const MAX_HEADERS = 32;

/** What a client is answered. */
export interface HandshakeAnswer {
  readonly text: string;
  /** Why it is refused, for us. */
  readonly refused?: string;
}

/**
 * Answers a request.
 *
 * @param request Its lines, each with its end; `undefined` if there were too many.
 */
export function answerHandshake(request: string | undefined, now: Date): HandshakeAnswer {
  const common = `Server: QEMU VNC\r\nDate: ${now.toUTCString()}\r\n`;
  if (request === undefined) {
    return {
      text: `HTTP/1.1 403 Request Entity Too Large\r\n${common}Connection: close\r\n\r\n`,
      refused: "its request is longer than 4096 bytes",
    };
  }
  const bad = (refused: string): HandshakeAnswer => ({
    // QEMU's has no empty line at its end either.
    text: `HTTP/1.1 400 Bad Request\r\n${common}Connection: close\r\n` +
      `Sec-WebSocket-Version: ${VERSION}\r\n`,
    refused,
  });
  const [line = "", ...lines] = request.split("\r\n").slice(0, -1);
  const [method, path, version] = line.split(" ");
  if (method !== "GET") return bad(`its method is '${printable(method ?? "")}', not GET`);
  if (version === undefined) return bad("its request has no version");
  if (path !== "/") {
    return {
      text: `HTTP/1.1 404 Not Found\r\n${common}Connection: close\r\n\r\n`,
      refused: `it asks for '${printable(path!)}', not /`,
    };
  }
  if (line !== "GET / HTTP/1.1") return bad("it does not speak HTTP/1.1");
  const headers = readHeaders(lines);
  if (typeof headers === "string") return bad(headers);
  const missing = checkHeaders(headers);
  if (missing !== undefined) return bad(missing);
  const accept = createHash("sha1").update(headers.get("sec-websocket-key")! + GUID)
    .digest("base64");
  return {
    text: `HTTP/1.1 101 Switching Protocols\r\n${common}Upgrade: websocket\r\n` +
      `Connection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n` +
      (headers.has("sec-websocket-protocol") ? "Sec-WebSocket-Protocol: binary\r\n" : "") +
      "\r\n",
  };
}

function readHeaders(lines: readonly string[]): Map<string, string> | string {
  const headers = new Map<string, string>();
  if (lines.length > MAX_HEADERS) return `its request has more than ${MAX_HEADERS} headers`;
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 0) return "its request has a header without a colon";
    const name = line.slice(0, colon).toLowerCase();
    // The first of a name counts.
    if (!headers.has(name)) headers.set(name, line.slice(colon + 1).replace(/^ +/, ""));
  }
  return headers;
}

function checkHeaders(headers: ReadonlyMap<string, string>): string | undefined {
  for (
    const name of [
      "sec-websocket-version",
      "sec-websocket-key",
      "host",
      "connection",
      "upgrade",
    ]
  ) {
    if (!headers.has(name)) return `its request has no header ${name}`;
  }
  const protocols = headers.get("sec-websocket-protocol");
  if (protocols !== undefined && !protocols.includes("binary")) {
    return "it does not offer the protocol binary";
  }
  if (headers.get("sec-websocket-version") !== VERSION) return "it is of another version than 13";
  if (headers.get("sec-websocket-key")!.length !== KEY_LENGTH) return "its key is no 24 characters";
  if (!/upgrade/i.test(headers.get("connection")!)) return "its connection is no upgrade";
  if (!/^websocket$/i.test(headers.get("upgrade")!)) return "it upgrades to something else";
  return undefined;
}
