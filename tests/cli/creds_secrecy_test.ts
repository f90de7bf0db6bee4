// No output shows a private key, in whatever form: the commands run on real and on broken keys.

import { createPrivateKey } from "node:crypto";
import { assert, assertEquals } from "@std/assert";
import { type Finished, PROJECT, run, virtcreds } from "../support/command.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** Every way in which a program could show a key: as it is on disk, or its secret number. */
function formsOf(pem: string): string[] {
  const body = pem.split("\n").filter((line) => line !== "" && !line.startsWith("-----"));
  const jwk = createPrivateKey(pem).export({ format: "jwk" });
  const secrets = (["d", "p", "q"] as const).flatMap((name) => jwk[name] ?? [])
    .map((text) => Uint8Array.fromBase64(text, { alphabet: "base64url" }));
  return [
    ...body.map((line) => line.slice(0, 40)),
    ...secrets.flatMap((secret) => {
      const part = secret.subarray(4, 20);
      const hex = part.toHex();
      const pairs = hex.match(/../g)!;
      const decimal = Array.from(part);
      return [
        ...[hex, hex.toUpperCase(), pairs.join(":"), pairs.join(" "), pairs.join("").toUpperCase()],
        ...[decimal.join(","), decimal.join(", "), decimal.join(" ")],
        // Base64 has three ways to begin in the middle of a number.
        ...[0, 1, 2].map((skip) => part.subarray(skip, skip + 12).toBase64()),
        String.fromCharCode(...part),
      ];
    }),
  ];
}

Deno.test("no command shows a private key, whatever it is asked and whatever is wrong", async () => {
  using temp = temporaryDirectory();
  const { path } = temp;
  await makePki(`${path}/pki`, {
    hosts: [
      { name: "ec.example" },
      { name: "rsa.example", keyType: "rsa-2048" },
      { name: "ed.example", keyType: "ed25519" },
      { name: "late.example", clock: daysFromNow(-400) },
      { name: "swapped.example" },
      { name: "cut.example" },
    ],
  });
  const host = (name: string) => `pki/hosts/${name}.example`;
  const names = ["ec", "rsa", "ed", "late", "swapped", "cut"];
  const keys = names.flatMap((name) =>
    ["server", "client"].map((role) =>
      Deno.readTextFileSync(`${path}/${host(name)}/${role}-key.pem`)
    )
  );
  const forms = new Set(
    [...keys, Deno.readTextFileSync(`${path}/pki/ca-key.pem`)].flatMap(formsOf),
  );
  assert(forms.size > 150, `${forms.size} forms`);
  // Keys where they do not belong, damaged, and in the place of certificates.
  Deno.copyFileSync(
    `${path}/${host("ec")}/server-key.pem`,
    `${path}/${host("swapped")}/server-key.pem`,
  );
  Deno.copyFileSync(
    `${path}/${host("ec")}/client-key.pem`,
    `${path}/${host("swapped")}/client-cert.pem`,
  );
  const cut = Deno.readTextFileSync(`${path}/${host("cut")}/server-key.pem`);
  Deno.writeTextFileSync(`${path}/${host("cut")}/server-key.pem`, cut.slice(0, -60));
  Deno.copyFileSync(`${path}/${host("cut")}/client-key.pem`, `${path}/${host("cut")}/ca-cert.pem`);

  const hosts = names.map(host);
  const object = (dir: string) => `tls-creds-x509,id=t,dir=${dir},endpoint=server`;
  const commands: readonly (readonly string[])[] = [
    ...["text", "json", "junit", "sarif", "github"].map((format) => [
      ...["creds", "check", ...hosts, "--strict", "--libvirt", "all", "--format", format],
    ]),
    ["creds", "show", ...hosts],
    ["creds", "show", ...hosts, "--json"],
    ["creds", "show", `${host("ec")}/server-key.pem`],
    ["creds", "matrix", ...hosts],
    ["creds", "matrix", ...hosts, "--json"],
    ["creds", "matrix", ...hosts, "--html", "/dev/stdout"],
    ["creds", "explain", keys[0]!.split("\n")[0]!],
    ["ca", "list", "--json"],
    ["ca", "status", "--json"],
    ["ca", "show", "ec.example"],
    ...[host("swapped"), host("cut"), host("late")].map((dir) => [
      ...["chardev", "server", "--object", object(dir)],
      ...["--chardev", "socket,id=s,host=127.0.0.1,port=0,server=on,tls-creds=t"],
    ]),
    ["ca", "renew", "--all"],
  ];
  const results: [string, Finished][] = [];
  for (const command of commands) {
    const env = { VIRTCREDS_DEBUG: "1" };
    results.push([command.join(" "), await virtcreds(command, { cwd: path, env })]);
  }
  // A log of a run on a key, annotated.
  const log = results.map(([, { stderr }]) => stderr).join("");
  results.push(["explain -", await virtcreds(["creds", "explain", "-"], { stdin: log })]);
  for (const [command, { stdout, stderr }] of results) {
    assert(stdout + stderr !== "", command);
    const shown = [...forms].filter((form) => (stdout + stderr).includes(form));
    assertEquals(shown, [], command);
  }
  // The test would see a key: a program that shows one is caught.
  const cat = await run("cat", [`${path}/${host("rsa")}/server-key.pem`], { cwd: PROJECT });
  assert([...forms].some((form) => cat.stdout.includes(form)));
});
