/** Installs the real programs that the tests run, where that is possible. */

import { installPrograms } from "./support/install.ts";

await installPrograms();
