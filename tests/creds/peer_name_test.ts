import { assertEquals } from "@std/assert";
import { decodePem } from "../../base/mod.ts";
import { peerName } from "../../creds/mod.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

Deno.test("peerName() names a peer by its key's identity or its certificate, or not at all", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1.example" }] });
  const pem = Deno.readTextFileSync(`${pki.host("vm1.example")}/client-cert.pem`);
  const leaf = decodePem(pem)[0]!.der;
  assertEquals(peerName({ peerChain: [leaf] }), "O=virtcreds CA,CN=vm1.example");
  assertEquals(peerName({ peerChain: [], pskIdentity: "alice" }), "alice");
  assertEquals(peerName({ peerChain: [] }), undefined);
  assertEquals(
    peerName({ peerChain: [Uint8Array.of(0x30, 0)] }),
    "with a certificate that cannot be read",
  );
});
