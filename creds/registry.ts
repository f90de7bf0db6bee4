/** The objects that a program was given, by id. */

import type { Clock } from "../base/mod.ts";
import type { Endpoint, Engine } from "../engine/mod.ts";
import { CredsError } from "./error.ts";
import type { Authorization, TlsCreds } from "./types.ts";

/** What a registry works with. */
export interface RegistryOptions {
  readonly engine: Engine;
  readonly clock?: Clock;
}

/** Holds what `--object` made; disposes of all of it with itself. */
export class ObjectRegistry implements Disposable {
  constructor(readonly options: RegistryOptions) {}

  /** Makes an object from the text of `--object`. */
  add(option: string): Promise<void> {
    return Promise.reject(new CredsError("OBJECT_OPTION", { option, cause: "not yet" }));
  }

  /** The credentials with that id, if they suit the role. */
  tlsCreds(id: string, _endpoint: Endpoint): TlsCreds {
    throw new CredsError("NO_TLS_CREDS", { value: id });
  }

  /** The authorization with that id, looked up at each check. */
  authorization(id: string): Authorization {
    throw new CredsError("AUTHZ_NOT_FOUND", { value: id });
  }

  /** Removes an object; sessions that use it go on. */
  remove(id: string): void {
    throw new CredsError("NO_SUCH_OBJECT", { value: id });
  }

  [Symbol.dispose](): void {}
}
