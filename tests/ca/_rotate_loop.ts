/** Rolls over again and again, from wherever it stands, so that a test can kill it in the middle. */

import {
  abandonRotation,
  backRotation,
  finishRotation,
  issueRotation,
  revokeCertificates,
  rotationStatus,
  signRequests,
  startRotation,
} from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";

const [dir, request] = Deno.args as [string, string];
const engine = await chooseEngine("platform");
for (;;) {
  // On a slow machine as on a fast one whoever kills can tell how far it has come.
  console.log("ready");
  await signRequests({ dir, engine, files: [request] });
  const { position } = rotationStatus({ dir });
  const isBack = Math.random() < 0.25;
  if (position === "none") await startRotation({ dir, engine });
  else if (position === "started" && !isBack) await issueRotation({ dir, engine });
  else if (position === "started") {
    await backRotation({ dir, engine });
    await abandonRotation({ dir, engine });
  } else if (isBack) await backRotation({ dir, engine });
  else {
    await revokeCertificates(["gone"], "superseded", { dir, engine }).catch(() => {});
    await issueRotation({ dir, engine });
    await finishRotation({ dir, engine });
  }
}
