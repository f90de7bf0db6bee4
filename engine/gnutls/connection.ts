/** A session as the library has it: every call returns at once and moves bytes in memory only. */

import { EngineError, type EngineErrorCode } from "../error.ts";
import type { PeerStatus, SessionFacts, SessionOptions } from "../session.ts";
import type { GnutlsCredentials } from "./credentials.ts";
import { Code } from "./error.ts";
import { readFacts, verifyPeer } from "./facts.ts";
import { type Gnutls, readText } from "./library.ts";
import { Arena, DATUM_BYTES, make, type Owned, takeDatum } from "./memory.ts";
import { size } from "./symbols.ts";
import type { Transport, Transports } from "./transport.ts";

/** Flags of `gnutls_init`. */
const Init = {
  SERVER: 1 << 0,
  CLIENT: 1 << 1,
  NONBLOCK: 1 << 3,
  NO_TICKETS: 1 << 10,
  NO_AUTO_SEND_TICKET: 1 << 21,
} as const;

/** `GNUTLS_CERT_REQUEST`: asked for, never insisted on; QEMU judges after the handshake. */
const CERT_REQUEST = 1;
/** `GNUTLS_NAME_DNS`. */
const NAME_DNS = 1;
/** `GNUTLS_SHUT_WR`. */
const SHUT_WR = 1;

/** Most bytes of a handshake; the library's own limit is 128 KiB for one message. */
const HANDSHAKE_BYTES = 512 * 1024;

/** How often a peer may renegotiate in one session (TLS 1.2). */
const RENEGOTIATIONS = 16;

/** How often in a row the library may have nothing to give but a warning. */
const WARNINGS = 64;

/** What {@linkcode Connection.receive} gives where it gives no bytes. */
export type ReceiveEnd = "more" | "closed" | "truncated";

/** The library's session, its transport, and a share in its credentials. */
export class Connection implements Disposable {
  readonly transport: Transport;
  readonly #lib: Gnutls;
  readonly #credentials: GnutlsCredentials;
  readonly #session: Owned;
  readonly #release: () => void;
  /** Bytes that the handshake has taken from the channel. */
  #shaken = 0;
  #renegotiations = 0;
  #renegotiating = false;
  /** The library has nothing left of what the channel gave. */
  #drained = false;
  /** The code that nothing comes after. */
  #ended: number | undefined;

  /** @throws {EngineError} `TLS_CREDENTIALS`, `TLS_HANDSHAKE`. */
  constructor(
    transports: Transports,
    credentials: GnutlsCredentials,
    { serverName, tickets = false }: Pick<SessionOptions, "serverName" | "tickets">,
  ) {
    const { lib } = credentials;
    const { call } = lib;
    const server = credentials.endpoint === "server";
    const role = (server ? Init.SERVER : Init.CLIENT) |
      (tickets ? 0 : Init.NO_TICKETS | Init.NO_AUTO_SEND_TICKET);
    credentials.acquire();
    try {
      this.#session = make(
        lib,
        (out) => call.gnutls_init(out, role | Init.NONBLOCK),
        call.gnutls_deinit,
        (cause) => new EngineError("TLS_HANDSHAKE", { cause }),
      );
    } catch (error) {
      credentials.release();
      throw error;
    }
    const session = this.#session.pointer;
    const [number, transport] = transports.open(session, credentials.keys);
    this.#lib = lib;
    this.#credentials = credentials;
    this.transport = transport;
    this.#release = () => {
      transports.close(number);
      credentials.release();
    };
    try {
      this.#configure(serverName, server && tickets);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Whether it has not been disposed of. */
  get live(): boolean {
    return this.#session.live;
  }

  /**
   * Goes on with the handshake as far as the bytes at hand reach.
   *
   * @returns Whether it is done; else the channel must give more.
   * @throws {EngineError} `TLS_HANDSHAKE`.
   */
  shake(): boolean {
    const { call } = this.#lib;
    // The library itself keeps a message of 16 MiB before it finds it too large.
    this.#shaken += this.transport.end;
    if (this.#shaken > HANDSHAKE_BYTES) {
      throw this.#refuse("TLS_HANDSHAKE", Code.HANDSHAKE_TOO_LARGE);
    }
    for (let warnings = 0;; warnings++) {
      const code = call.gnutls_handshake(this.#session.pointer);
      if (code === Code.SUCCESS) return true;
      if (this.#waits(code)) return false;
      if (this.#isFatal(code) || warnings > WARNINGS) throw this.#refuse("TLS_HANDSHAKE", code);
    }
  }

  /**
   * Decrypts what is at hand into the buffer.
   *
   * @returns How many bytes, or why there are none.
   * @throws {EngineError} `TLS_READ`.
   */
  receive(into: Uint8Array): number | ReceiveEnd {
    const { transport } = this;
    const { call } = this.#lib;
    const session = this.#session.pointer;
    // Nothing in, nothing out: to ask the library costs as much as to decrypt a key.
    if (this.#drained && transport.start === transport.end && !transport.ended) return "more";
    this.#drained = false;
    let taken = 0;
    for (let warnings = 0; taken < into.length;) {
      // A sub-array even of the whole: a small array would lie where the collector moves it.
      const code = this.#ended ?? this.#next(into.subarray(taken));
      if (code > 0) {
        taken += code;
        const drained = transport.start === transport.end;
        this.#drained = drained && call.gnutls_record_check_pending(session) === 0;
        if (this.#drained) break;
      } else if (code === Code.REHANDSHAKE && this.#renegotiations < RENEGOTIATIONS) {
        this.#renegotiations++;
        this.#renegotiating = true;
      } else if (this.#waits(code)) {
        this.#drained = true;
        break;
      } else if (this.#isLast(code) || ++warnings > WARNINGS) {
        // The library says it once; bytes that came before it are given first.
        this.#ended = code;
        break;
      }
    }
    if (taken > 0) return taken;
    if (this.#ended === undefined) return "more";
    if (this.#ended === 0) return "closed";
    if (this.#isTruncation(this.#ended)) return "truncated";
    throw this.#refuse("TLS_READ", this.#ended);
  }

  /**
   * Encrypts at least one byte and at most one record.
   *
   * @returns How many bytes were taken.
   * @throws {EngineError} `TLS_WRITE`.
   */
  send(bytes: Uint8Array): number {
    const code = this.#lib.call.gnutls_record_send(
      this.#session.pointer,
      bytes.subarray(0),
      size(bytes.length),
    );
    if (code > 0) return code;
    throw this.#refuse("TLS_WRITE", code);
  }

  /**
   * Says that nothing more is sent: close_notify.
   *
   * @throws {EngineError} `TLS_WRITE`.
   */
  finish(): void {
    const code = this.#lib.call.gnutls_bye(this.#session.pointer, SHUT_WR);
    if (code < 0) throw this.#refuse("TLS_WRITE", code);
  }

  /** What was negotiated. */
  facts(): SessionFacts {
    return readFacts(this.#lib, this.#session.pointer, this.#credentials);
  }

  /** The library's judgement of the peer's chain. */
  verifyPeer(): PeerStatus {
    return verifyPeer(this.#lib, this.#session.pointer);
  }

  [Symbol.dispose](): void {
    if (!this.#session.live) return;
    this.#session[Symbol.dispose]();
    this.#release();
  }

  #configure(serverName: string | undefined, tickets: boolean): void {
    const { call } = this.#lib;
    const { priority, type, pointer, endpoint } = this.#credentials;
    const session = this.#session.pointer;
    const must = (code: number) => {
      if (code < 0) throw this.#refuse("TLS_HANDSHAKE", code);
    };
    must(call.gnutls_priority_set(session, priority));
    must(call.gnutls_credentials_set(session, type, pointer));
    if (endpoint === "server") {
      call.gnutls_certificate_server_set_request(session, CERT_REQUEST);
      if (tickets) must(enableTickets(this.#lib, session));
    } else if (serverName !== undefined) {
      const name = new TextEncoder().encode(serverName);
      must(call.gnutls_server_name_set(session, NAME_DNS, name, BigInt(name.length)));
    }
  }

  #next(into: Uint8Array): number {
    const { call } = this.#lib;
    const session = this.#session.pointer;
    if (this.#renegotiating) {
      const code = call.gnutls_handshake(session);
      if (code === Code.SUCCESS) this.#renegotiating = false;
      else if (code !== Code.GOT_APPLICATION_DATA) return code;
    }
    return call.gnutls_record_recv(session, into, size(into.length));
  }

  /** Whether the library has used up what the channel gave and wants more. */
  #waits(code: number): boolean {
    // It also says AGAIN after a message of its own (key update, ticket) with more behind it.
    const { start, end } = this.transport;
    return (code === Code.AGAIN || code === Code.INTERRUPTED) && start === end;
  }

  /** An end between records has a code of its own; one within a record's header has not. */
  #isTruncation(code: number): boolean {
    const { ended, start, end } = this.transport;
    return code === Code.PREMATURE_TERMINATION ||
      (code === Code.UNEXPECTED_PACKET_LENGTH && ended && start === end);
  }

  #isLast(code: number): boolean {
    return code === 0 || code === Code.REHANDSHAKE || this.#isFatal(code);
  }

  #isFatal(code: number): boolean {
    return this.#lib.call.gnutls_error_is_fatal(code) !== 0;
  }

  #refuse(kind: EngineErrorCode, code: number): EngineError {
    const { call } = this.#lib;
    const alert = code === Code.FATAL_ALERT_RECEIVED || code === Code.WARNING_ALERT_RECEIVED
      ? readText(call.gnutls_alert_get_name(call.gnutls_alert_get(this.#session.pointer)))
      : undefined;
    return new EngineError(kind, {
      cause: this.#lib.text(code),
      ...(alert === undefined ? {} : { hint: `the alert was: ${alert}` }),
    });
  }
}

/** With a key that nobody else has and that dies with the session. */
function enableTickets(lib: Gnutls, session: Deno.PointerObject): number {
  using arena = new Arena();
  const key = arena.bytes(DATUM_BYTES);
  const code = lib.call.gnutls_session_ticket_key_generate(key);
  if (code < 0) return code;
  const enabled = lib.call.gnutls_session_ticket_enable_server(session, key);
  takeDatum(lib, key).fill(0);
  return enabled;
}
