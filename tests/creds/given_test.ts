import { assertEquals } from "@std/assert";
import {
  checkCredentials,
  findProfile,
  type GivenFile,
  parseCertificate,
} from "../../creds/mod.ts";
import { decodePem } from "../../base/mod.ts";
import { enginesHere } from "../support/engines.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** The files of a directory as whoever wrote them has them. */
function filesOf(dir: string): Map<string, GivenFile> {
  return new Map([...Deno.readDirSync(dir)].map(({ name }) => {
    const bytes = Deno.readFileSync(`${dir}/${name}`);
    const { mode } = Deno.statSync(`${dir}/${name}`);
    return [name, { bytes, text: new TextDecoder().decode(bytes), mode: mode! & 0o777 }];
  }));
}

function certificateOf(files: ReadonlyMap<string, GivenFile>, name: string) {
  return parseCertificate(decodePem(files.get(name)!.text)[0]!.der);
}

for (const engine of await enginesHere()) {
  Deno.test(`checkCredentials() judges given files as those of a directory, ${engine.name}`, async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
    const dir = pki.host("a");
    const profiles = [findProfile("7.2.22"), findProfile("10.2")];
    const read = await checkCredentials(dir, { engine, profiles });
    const files = filesOf(dir);
    assertEquals(await checkCredentials(dir, { engine, profiles, given: { files } }), read);
    // Nothing of the directory itself counts.
    const elsewhere = "/nowhere/at/all";
    const verdicts = await checkCredentials(elsewhere, { engine, profiles, given: { files } });
    assertEquals(verdicts.map(({ ok }) => ok), read.map(() => true));

    const server = certificateOf(files, "server-cert.pem");
    const check = async (given: Parameters<typeof checkCredentials>[1]["given"]) => {
      const [first] = await checkCredentials(dir, {
        engine,
        profiles,
        endpoint: "server",
        refusalsOnly: true,
        given: given!,
      });
      return first!.ok ? "ok" : first!.findings[0]!.code;
    };
    // What is known of a key is held against its certificate.
    const other = filesOf(pki.host("b"));
    const mixed = new Map(files).set("server-key.pem", other.get("server-key.pem")!);
    assertEquals(await check({ files: mixed }), "KEY_MISMATCH");
    const publicKeys = new Map([["server-key.pem", server.spki]]);
    assertEquals(await check({ files: mixed, publicKeys }), "ok");
    const foreign = new Map([["server-key.pem", certificateOf(other, "server-cert.pem").spki]]);
    assertEquals(await check({ files, publicKeys: foreign }), "KEY_MISMATCH");

    // A fresh signature is the one of the key that made it, and of no other.
    const asked: Uint8Array[] = [];
    const isFresh = (_: Uint8Array, publicKey: Uint8Array) => asked.push(publicKey) > 0;
    assertEquals(await check({ files, isFresh }), "ok");
    assertEquals(asked[0], certificateOf(files, "ca-cert.pem").spki);
  });
}
