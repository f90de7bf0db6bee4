/** Keys that stay in a token (an HSM, a smart card, SoftHSM), named by `pkcs11:` URI (RFC 7512). */

import { EngineError } from "../error.ts";
import type { SigningKey } from "../key.ts";
import { Code } from "./error.ts";
import { GnutlsKey, refuse } from "./key.ts";
import type { Gnutls } from "./library.ts";
import { Arena, make } from "./memory.ts";
import { size } from "./symbols.ts";

/** `GNUTLS_PIN_WRONG`: the token has refused the PIN that it was given. */
const PIN_WRONG = 1 << 5;

/** Says to the library that there is no PIN. */
const NO_PIN = -1;

const CALLBACK = {
  parameters: ["u32", "i32", "pointer", "pointer", "u32", "pointer", "u32"],
  result: "i32",
} as const;

/** The tokens' keys, and the one call-back that gives their PINs. */
export class Tokens {
  readonly #lib: Gnutls;
  readonly #pins: (Uint8Array<ArrayBuffer> | undefined)[] = [];
  readonly #askPin: Deno.UnsafeCallback<typeof CALLBACK>;

  constructor(lib: Gnutls) {
    this.#lib = lib;
    this.#askPin = new Deno.UnsafeCallback(
      CALLBACK,
      (number, attempt, _url, _label, flags, into, space) => {
        const pin = this.#pins[number];
        // Asked again, the same PIN would be wrong again and in the end lock the token.
        if (attempt > 0 || (flags & PIN_WRONG) !== 0) return NO_PIN;
        if (pin === undefined || into === null || pin.length > space) return NO_PIN;
        lib.call.memcpy(into, pin, size(pin.length));
        return 0;
      },
    );
  }

  /**
   * Finds a key. The library finds the token's module as p11-kit is configured.
   *
   * @param pin Asked for by the token at once or whenever it wants it again; may be in the URI.
   * @throws {EngineError} `KEY`.
   */
  importKey(uri: string, pin?: string): SigningKey {
    const { call } = this.#lib;
    let number = 0;
    const key = make(this.#lib, call.gnutls_privkey_init, (pointer) => {
      call.gnutls_privkey_deinit(pointer);
      this.#forget(number);
    }, refuse);
    number = this.#keep(pin);
    call.gnutls_privkey_set_pin_function(
      key.pointer,
      this.#askPin.pointer,
      Deno.UnsafePointer.create(BigInt(number)),
    );
    using arena = new Arena();
    const code = call.gnutls_privkey_import_url(key.pointer, arena.text(uri)!, 0);
    if (code >= 0) return new GnutlsKey(this.#lib, key);
    key[Symbol.dispose]();
    throw this.#explain(code, pin);
  }

  #explain(code: number, pin: string | undefined): EngineError {
    switch (code) {
      case Code.PARSING_ERROR:
        return refuse("its pkcs11: URI cannot be parsed");
      case Code.PKCS11_PIN_ERROR:
        return refuse(pin === undefined ? "its token wants a PIN" : "its token refuses the PIN");
      case Code.REQUESTED_DATA_NOT_AVAILABLE:
      case Code.PKCS11_REQUESTED_OBJECT_NOT_AVAILABLE:
        return new EngineError("KEY", {
          cause: "no token has it",
          hint: "`p11tool --list-tokens` lists tokens, `p11tool --login --list-all URL` keys",
        });
      default:
        return refuse(this.#lib.text(code));
    }
  }

  /** Keeps a PIN for as long as its key is there; number 0 stands for none. */
  #keep(pin: string | undefined): number {
    if (pin === undefined) return 0;
    let number = 1;
    while (this.#pins[number] !== undefined) number++;
    this.#pins[number] = new TextEncoder().encode(`${pin}\0`);
    return number;
  }

  #forget(number: number): void {
    this.#pins[number]?.fill(0);
    this.#pins[number] = undefined;
  }
}
