/** The objects that a program was given with `--object`, by id. */

import { type Clock, systemClock } from "../base/mod.ts";
import type { Endpoint, Engine } from "../engine/mod.ts";
import { BOOLEAN, choice, type ObjectOptions, optionError, parseObject } from "./_properties.ts";
import { READONLY, type Schema, STRING } from "./_properties.ts";
import { type Authz, AUTHZ_LIST_SCHEMA, AUTHZ_SIMPLE_SCHEMA } from "./authz.ts";
import { makeAuthzList, makeAuthzSimple } from "./authz.ts";
import { AUTHZ_FILE_SCHEMA, makeAuthzFile } from "./authz_file.ts";
import { CredsError } from "./error.ts";
import { loadX509 } from "./load.ts";
import { loadAnon, loadPsk, type PskRequest } from "./load_psk.ts";
import type { Profile } from "./profiles.ts";
import { reloadable } from "./reload.ts";
import { makeSecret, type Secret, SECRET_SCHEMA, secretText } from "./secret.ts";
import type { Authorization, TlsCreds } from "./types.ts";

/** What became of an object when its files were read again. */
export interface ReloadOutcome {
  readonly id: string;
  readonly dir: string;
  readonly endpoint: Endpoint;
  /** A failure leaves the old set in use. */
  readonly result: "reloaded" | "unchanged" | "failed";
  /** Why it failed. */
  readonly error?: unknown;
}

/** What a registry works with. */
export interface RegistryOptions {
  readonly engine: Engine;
  readonly clock?: Clock;
  /** The line of QEMU whose rules hold at load; the installed one's by default. */
  readonly profile?: Profile;
}

const TLS_CREDS: Schema = {
  "verify-peer": BOOLEAN,
  dir: STRING,
  endpoint: choice("client", "server"),
  priority: STRING,
  loaded: READONLY,
};

const SCHEMAS: Readonly<Record<string, Schema>> = {
  "tls-creds-x509": { ...TLS_CREDS, "sanity-check": BOOLEAN, passwordid: STRING },
  "tls-creds-psk": { ...TLS_CREDS, username: STRING },
  "tls-creds-anon": TLS_CREDS,
  secret: SECRET_SCHEMA,
  "authz-simple": AUTHZ_SIMPLE_SCHEMA,
  "authz-list": AUTHZ_LIST_SCHEMA,
  "authz-list-file": AUTHZ_FILE_SCHEMA,
  "authz-listfile": AUTHZ_FILE_SCHEMA,
};

type Item = TlsCreds | Secret | Authz;

/**
 * Makes objects from the text of `--object` and finds them by id, with QEMU's syntax and errors.
 *
 * @example A secret and who may come in
 * ```ts
 * import { chooseEngine } from "@virtcreds/virtcreds/engine";
 * import { ObjectRegistry } from "@virtcreds/virtcreds/creds";
 * import { assert } from "@std/assert";
 *
 * using objects = new ObjectRegistry({ engine: await chooseEngine() });
 * await objects.add("authz-simple,id=az0,identity=O=Example,,CN=host1");
 * assert(objects.authorization("az0").allows("O=Example,CN=host1"));
 * ```
 */
export class ObjectRegistry implements Disposable {
  readonly #items = new Map<string, Item>();
  /** Removed, but perhaps still in use. */
  readonly #removed: Item[] = [];
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #profile: Profile | undefined;

  constructor({ engine, clock = systemClock, profile }: RegistryOptions) {
    this.#engine = engine;
    this.#clock = clock;
    this.#profile = profile;
  }

  /**
   * Makes an object from the text of `--object`, key=value or JSON.
   *
   * @throws {BaseError} `KEYVAL` if the text is no option.
   * @throws {CredsError} `OBJECT_OPTION`, `OBJECT_TYPE`, `OBJECT_EXISTS`, `SECRET` or `LOAD`.
   */
  async add(option: string): Promise<void> {
    const options = parseObject(option, SCHEMAS);
    if (this.#items.has(options.id)) throw existsError(options.id);
    const item = await this.#make(options);
    if (this.#items.has(options.id)) {
      item[Symbol.dispose]();
      throw existsError(options.id);
    }
    this.#items.set(options.id, item);
  }

  /**
   * Finds credentials that suit a role.
   *
   * @throws {CredsError} `NO_TLS_CREDS`, `NOT_TLS_CREDS` or `WRONG_ENDPOINT`.
   */
  tlsCreds(id: string, endpoint: Endpoint): TlsCreds {
    const item = this.#items.get(id);
    const hint = `--object tls-creds-x509,id=${id},dir=DIR,endpoint=${endpoint}`;
    if (item === undefined) throw new CredsError("NO_TLS_CREDS", { value: id, hint });
    if (item.kind === "secret" || item.kind === "authz") {
      throw new CredsError("NOT_TLS_CREDS", { value: id, hint });
    }
    if (item.endpoint !== endpoint) {
      throw new CredsError("WRONG_ENDPOINT", { value: endpoint, hint });
    }
    return item;
  }

  /** Names an authorization: it is looked up at each check, and may come or go in between. */
  authorization(id: string): Authorization {
    return {
      id,
      allows: (identity) => {
        const item = this.#items.get(id);
        const hint = `--object authz-simple,id=${id},identity=DN`;
        if (item === undefined) throw new CredsError("AUTHZ_NOT_FOUND", { value: id, hint });
        if (item.kind !== "authz") throw new CredsError("NOT_AUTHZ", { value: id, hint });
        return item.allows(identity);
      },
      fault: () => {
        const item = this.#items.get(id);
        return item?.kind === "authz" ? item.fault : undefined;
      },
    };
  }

  /**
   * Removes an object; sessions and services that use it go on with it.
   *
   * @throws {CredsError} `OBJECT_NOT_FOUND`.
   */
  remove(id: string): void {
    const item = this.#items.get(id);
    if (item === undefined) throw new CredsError("OBJECT_NOT_FOUND", { value: id });
    this.#items.delete(id);
    this.#removed.push(item);
  }

  /**
   * Reads the files of all credentials again. Each object takes its new set or, on any error,
   * keeps its old one; sessions go on with what they were opened with.
   *
   * @returns What became of each object that reads files, in the order in which they were made.
   */
  async reload(): Promise<ReloadOutcome[]> {
    const outcomes: ReloadOutcome[] = [];
    for (const item of this.#credentials()) {
      const { id, dir, endpoint } = item;
      try {
        const isNew = await item.reload();
        outcomes.push({ id, dir, endpoint, result: isNew ? "reloaded" : "unchanged" });
      } catch (error) {
        outcomes.push({ id, dir, endpoint, result: "failed", error });
      }
    }
    return outcomes;
  }

  /** The ids of the credentials, in the order in which they were made. */
  tlsCredsIds(): string[] {
    return [...this.#items].flatMap(([id, { kind }]) =>
      kind === "secret" || kind === "authz" ? [] : [id]
    );
  }

  /** The directories that credentials are read from. */
  directories(): string[] {
    return [...new Set(this.#credentials().map(({ dir }) => dir))];
  }

  #credentials(): TlsCreds[] {
    return [...this.#items.values()].filter((item): item is TlsCreds =>
      item.kind !== "secret" && item.kind !== "authz" && item.dir !== ""
    );
  }

  /** Frees all objects: nothing may use them any more. */
  [Symbol.dispose](): void {
    for (const item of [...this.#items.values(), ...this.#removed.splice(0)]) {
      item[Symbol.dispose]();
    }
    this.#items.clear();
  }

  #make(options: ObjectOptions): Promise<Item> | Item {
    switch (options.type) {
      case "secret":
        return makeSecret(options, (id) => this.#secret(id));
      case "authz-simple":
        return makeAuthzSimple(options);
      case "authz-list":
        return makeAuthzList(options);
      case "authz-list-file":
      case "authz-listfile":
        return makeAuthzFile(options);
      case "tls-creds-anon":
        return reloadable(() => loadAnon(this.#request(options, "")));
      case "tls-creds-psk":
        return reloadable(() => loadPsk(this.#request(options)));
      default:
        return reloadable(() =>
          loadX509({
            ...this.#request(options),
            sanityCheck: options.flag("sanity-check", true),
            ...this.#password(options.text("passwordid")),
            ...(this.#profile === undefined ? {} : { profile: this.#profile }),
          })
        );
    }
  }

  #request(options: ObjectOptions, otherwise?: string): PskRequest {
    const dir = options.text("dir") ?? otherwise;
    if (dir === undefined) throw optionError("dir", "Missing 'dir' property value");
    const [priority, username] = [options.text("priority"), options.text("username")];
    return {
      id: options.id,
      dir,
      endpoint: options.text("endpoint") === "server" ? "server" : "client",
      verifyPeer: options.flag("verify-peer", true),
      ...(priority === undefined ? {} : { priority }),
      ...(username === undefined ? {} : { username }),
      engine: this.#engine,
      clock: this.#clock,
    };
  }

  /** QEMU looks for the passphrase only when it comes to the key, so a fault waits till then. */
  #password(
    id: string | undefined,
  ): { readonly password?: string; readonly passwordFault?: string } {
    if (id === undefined) return {};
    try {
      return { password: secretText(this.#secret(id)) };
    } catch (error) {
      if (!(error instanceof CredsError)) throw error;
      return { passwordFault: error.message };
    }
  }

  #secret(id: string): Secret {
    const item = this.#items.get(id);
    if (item === undefined) {
      throw new CredsError("SECRET", {
        value: id,
        text: `No secret with id '${id}'`,
        hint: `--object secret,id=${id},file=FILE must come first`,
      });
    }
    if (item.kind !== "secret") {
      throw new CredsError("SECRET", { value: id, text: `Object with id '${id}' is not a secret` });
    }
    return item;
  }
}

function existsError(id: string): CredsError {
  const hint = `there is an object of id=${id}: give each its own`;
  return new CredsError("OBJECT_EXISTS", { value: id, hint });
}
