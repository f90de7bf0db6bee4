import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CredsError, ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { describeTls } from "../../migration/describe.ts";
import { MigrationError } from "../../migration/error.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { sourceCredentials, targetSecurity } from "../../migration/security.ts";
import { runTarget } from "../../migration/target_service.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** Objects of a server of every kind, each named for what it is. */
async function withObjects(work: (objects: ObjectRegistry) => Promise<void> | void): Promise<void> {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm2" }] });
  const dir = pki.host("vm2");
  Deno.mkdirSync(`${temp.path}/psk`);
  Deno.writeTextFileSync(`${temp.path}/psk/keys.psk`, `qemu:${"ab".repeat(32)}\n`);
  using objects = new ObjectRegistry({ engine: await chooseEngine() });
  for (
    const option of [
      `tls-creds-x509,id=x509,dir=${dir},endpoint=server`,
      `tls-creds-x509,id=open,dir=${dir},endpoint=server,verify-peer=off`,
      `tls-creds-x509,id=client,dir=${dir},endpoint=client`,
      `tls-creds-psk,id=psk,dir=${temp.path}/psk,endpoint=server`,
      "tls-creds-anon,id=anon,endpoint=server",
      "authz-simple,id=az0,identity=CN=vm1",
    ]
  ) await objects.add(option);
  await work(objects);
}

function target(creds: string, authz: string) {
  return { ...defaultParameters(), "tls-creds": creds, "tls-authz": authz };
}

/** Credentials that let everybody in whatever the authorization says, and why. */
const OPEN_DOORS: readonly [creds: string, why: string][] = [
  ["", "without tls-creds everybody may come in plain"],
  ["open", "'open' is made with verify-peer=off: everybody would come in"],
  ["psk", "'psk' is tls-creds-psk, without certificates: everybody would come in"],
  ["anon", "'anon' is tls-creds-anon, without certificates: everybody would come in"],
];

Deno.test("targetSecurity() refuses an authorization that would never be asked", () =>
  withObjects((objects) => {
    for (const [creds, why] of OPEN_DOORS) {
      const parameters = target(creds, "az0");
      const error = assertThrows(() => targetSecurity(parameters, objects), MigrationError, why);
      assertEquals([error.code, error.exitCode], ["PARAMETER", 2]);
      assert(error.hints.length > 0);
      assertEquals(targetSecurity(target(creds, ""), objects)?.creds.id ?? "", creds);
    }
  }));

Deno.test("targetSecurity() gives the authorization along with what verifies", () =>
  withObjects((objects) => {
    const { creds, authorize } = targetSecurity(target("x509", "az0"), objects)!;
    assertEquals([creds.id, authorize?.id, authorize?.allows("CN=vm1")], ["x509", "az0", true]);
    assertThrows(() => targetSecurity(target("client", "az0"), objects), CredsError, "server");
    assertEquals(targetSecurity(target("", ""), objects), undefined);
  }));

Deno.test("runTarget() does not listen with an authorization that would never be asked", () =>
  withObjects(async (objects) => {
    for (const [creds, why] of OPEN_DOORS) {
      const events: unknown[] = [];
      await assertRejects(
        () =>
          runTarget({
            address: { kind: "tcp", host: "127.0.0.1", port: 0 },
            objects,
            parameters: target(creds, "az0"),
            onEvent: (event) => events.push(event),
          }),
        MigrationError,
        why,
      );
      assertEquals(events, []);
    }
  }));

Deno.test("sourceCredentials() refuses a name without TLS, and gives what there is", () =>
  withObjects((objects) => {
    const named = { ...defaultParameters(), "tls-hostname": "vm2" };
    assertThrows(() => sourceCredentials(named, objects), MigrationError, "goes in plain");
    assertEquals(sourceCredentials({ ...named, "tls-creds": "client" }, objects)?.id, "client");
    assertEquals(sourceCredentials(defaultParameters(), objects), undefined);
  }));

Deno.test("describeTls() marks a peer that was not verified", () => {
  const facts = { version: "TLS1.3", cipher: "TLS_AES_128_GCM_SHA256", peerChain: [] } as const;
  const rows: [Parameters<typeof describeTls>[0], string][] = [
    [undefined, "plain, peer not verified"],
    [{ facts, verified: false }, "TLS1.3 TLS_AES_128_GCM_SHA256, peer anonymous (not verified)"],
    [{ facts, verified: true }, "TLS1.3 TLS_AES_128_GCM_SHA256, peer with the shared key"],
    [
      { facts: { ...facts, pskIdentity: "qemu\x1b" }, verified: true },
      "TLS1.3 TLS_AES_128_GCM_SHA256, peer qemu\\u{1b}",
    ],
    [
      { facts: { ...facts, peerChain: [new Uint8Array(3)] }, verified: false },
      "TLS1.3 TLS_AES_128_GCM_SHA256, peer with a certificate that cannot be read (not verified)",
    ],
  ];
  for (const [tls, text] of rows) assertEquals(describeTls(tls), text);
});
