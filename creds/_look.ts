/** What looks beside QEMU's own checks work with. */

import type { Engine } from "../engine/mod.ts";
import type { Inspection } from "./_inspect.ts";
import type { MendContext } from "./_mend.ts";
import type { Certificate } from "./certificate.ts";
import type { Finding } from "./finding.ts";
import type { PlacedLayout } from "./layout_place.ts";

import type { ChainContext } from "./path.ts";
import type { Profile } from "./profiles.ts";

/** What is looked for. */
export interface BesideOptions {
  readonly hostnames: readonly string[];
  /** ms. */
  readonly expiresIn: number;
  readonly verifyPeer: boolean;
  /** The layout that the files are of, where that is not a directory of QEMU's names. */
  readonly placed?: PlacedLayout;
  /** The priority string of the object. */
  readonly priority: string | undefined;
  readonly checkPriority: Engine["checkPriority"];
}

/** What a look works with. */
export interface Beside {
  readonly inspection: Inspection;
  readonly profile: Profile;
  readonly chain: ChainContext;
  readonly options: BesideOptions;
  readonly mending: MendContext;
}

/** Looks for one thing; the leaf is there where one could be read. */
export type Look = (beside: Beside, leaf: Certificate | undefined) => Iterable<Finding>;
