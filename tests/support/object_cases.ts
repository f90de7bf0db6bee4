/** Texts of `--object` and what QEMU 7.2.22 says of them; `%D` is a directory of good credentials. */

/** Objects in order, and the message about the last one; empty where QEMU takes it. */
export type ObjectCase = readonly [objects: readonly string[], message: string];

const X509 = "tls-creds-x509,id=t,dir=%D";
const KEY32 = "00112233445566778899aabbccddeeff";
const json = (properties: Readonly<Record<string, unknown>>) => JSON.stringify(properties);
const CREDS = { "qom-type": "tls-creds-x509", "id": "t", "dir": "%D" } as const;

/** Option texts of every object, and what QEMU says of each. */
export const OBJECT_CASES: readonly ObjectCase[] = [
  [[X509], ""],
  [[`${X509},endpoint=server`], ""],
  [[`${X509},endpoint=client,verify-peer=off,sanity-check=n`], ""],
  [["tls-creds-x509,dir=%D"], "Parameter 'id' is missing"],
  [["tls-creds-x509,id=,dir=%D"], "Parameter 'id' expects an identifier"],
  [["tls-creds-x509,id=1x,dir=%D"], "Parameter 'id' expects an identifier"],
  [["tls-creds-x509,id=a_b.c-d9,dir=%D"], ""],
  [[X509, X509], "attempt to add duplicate property 't' to object (type 'container')"],
  [[`${X509},foo=1`], "Parameter 'foo' is unexpected"],
  [[`${X509},endpoint=peer`], "Parameter 'endpoint' does not accept value 'peer'"],
  [[`${X509},sanity-check=1`], "Parameter 'sanity-check' expects 'on' or 'off'"],
  [[`${X509},verify-peer=ON`], "Parameter 'verify-peer' expects 'on' or 'off'"],
  ...["on", "off", "yes", "no", "true", "false", "y", "n"].map((value): ObjectCase => [
    [`${X509},verify-peer=${value}`],
    "",
  ]),
  [["tls-creds-x509,id=t"], "Missing 'dir' property value"],
  [[`${X509},loaded=on`], "Property 'tls-creds-x509.loaded' is not writable"],
  [[`${X509},priority=FOO`], ""],
  [[`${X509},passwordid=nope`], "No secret with id 'nope'"],
  [["secret,id=s,data=x", `${X509},passwordid=s`], ""],
  [["authz-simple,id=s,identity=x", `${X509},passwordid=s`], "Object with id 's' is not a secret"],
  [["tls-creds-x501,id=t"], "Parameter 'qom-type' does not accept value 'tls-creds-x501'"],
  [["id=t,dir=%D"], "Parameter 'qom-type' is missing"],
  [["tls-creds-x509,id=t,dir=%D,dir=%D"], ""],
  [[json(CREDS)], ""],
  [[json({ ...CREDS, "endpoint": "server", "verify-peer": true })], ""],
  [
    [json({ ...CREDS, "verify-peer": "on" })],
    "Invalid parameter type for 'verify-peer', expected: boolean",
  ],
  [[json({ ...CREDS, dir: 7 })], "Invalid parameter type for 'dir', expected: string"],
  [[json({ "qom-type": "tls-creds-x509", "dir": "%D" })], "Parameter 'id' is missing"],
  [[json({ ...CREDS, foo: 1 })], "Parameter 'foo' is unexpected"],
  [["secret,id=s"], "Either 'file' or 'data' must be provided"],
  [["secret,id=s,data=x,file=%D/ca-cert.pem"], "'file' and 'data' are mutually exclusive"],
  [["secret,id=s,data="], ""],
  [["secret,id=s,file=%D/ca-cert.pem"], ""],
  [
    ["secret,id=s,file=/nonexist"],
    "Unable to read /nonexist: Failed to open file “/nonexist”: No such file or directory",
  ],
  [["secret,id=s,data=%%%,format=base64"], "Base64 data contains invalid characters"],
  [["secret,id=s,data=YWJj,format=base64"], ""],
  [["secret,id=s,data=YWJ,format=base64"], ""],
  [["secret,id=s,data=x,format=hex"], "Parameter 'format' does not accept value 'hex'"],
  [["secret,id=s,data=x,keyid=nope"], "No secret with id 'nope'"],
  [["secret,id=m,data=short", "secret,id=s,data=x,keyid=m"], "Key should be 32 bytes in length"],
  [[`secret,id=m,data=${KEY32}`, "secret,id=s,data=x,keyid=m"], "IV is required to decrypt secret"],
  [
    [`secret,id=m,data=${KEY32}`, "secret,id=s,data=x,keyid=m,iv=YWJj"],
    "IV should be 16 bytes in length not 3",
  ],
  [
    [`secret,id=m,data=${KEY32}`, "secret,id=s,data=abc,keyid=m,iv=AAAAAAAAAAAAAAAAAAAAAA=="],
    "Length 3 must be a multiple of block size 16",
  ],
  [["authz-simple,id=a"], "Parameter 'identity' is missing"],
  [["authz-simple,id=a,identity=C=GB,,CN=x"], ""],
  [["authz-list,id=a"], ""],
  [["authz-list,id=a,rules.0.match=CN=*,rules.0.policy=allow,rules.0.format=glob"], ""],
  [["authz-list,id=a,rules.0.match=x"], "Parameter 'rules.0.policy' is missing"],
  [
    ["authz-list,id=a,rules.0.match=x,rules.0.policy=perhaps"],
    "Parameter 'policy' does not accept value 'perhaps'",
  ],
  [["authz-list,id=a,policy=perhaps"], "Parameter 'policy' does not accept value 'perhaps'"],
  [
    [json({
      "qom-type": "authz-list",
      "id": "a",
      "rules": [{ match: "C=GB,*", policy: "allow", format: "glob" }],
    })],
    "",
  ],
  [
    [json({ "qom-type": "authz-list", "id": "a", "rules": [{ match: "x" }] })],
    "Parameter 'rules[0].policy' is missing",
  ],
  [
    [json({
      "qom-type": "authz-list",
      "id": "a",
      "rules": [{ match: "x", policy: "deny", x: 1 }],
    })],
    "Parameter 'rules[0].x' is unexpected",
  ],
];
