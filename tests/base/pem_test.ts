import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { decodePem, encodePem } from "../../base/mod.ts";
import { soakCount, soakRow } from "../support/soak.ts";

Deno.test("PEM of any bytes survives a round trip, among comments and other blocks", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
      const text = `a comment\n${encodePem("X509 CRL", bytes)}more\r\n${encodePem("A", bytes)}`;
      const blocks = decodePem(text.replaceAll("\n", "\r\n"));
      assertEquals(blocks.map((block) => block.label), ["X509 CRL", "A"]);
      for (const block of blocks) assertEquals(block.der, bytes);
    }),
    { numRuns: soakCount(10_000), seed: 3 },
  );
  soakRow("PEM round trips", soakCount(10_000), "every block came back");
});

Deno.test("decodePem() reads RFC 1421 headers and leaves damaged blocks out", () => {
  const encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n" +
    "DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
  assertEquals(decodePem(encrypted)[0]?.headers["Proc-Type"], "4,ENCRYPTED");
  assertEquals(decodePem("-----BEGIN A-----\n@@@\n-----END A-----\n"), []);
  assertEquals(decodePem("-----BEGIN A-----\nAAAA\n-----END B-----\n"), []);
  assertEquals(decodePem("-----BEGIN A-----\nAAAA"), []);
});
