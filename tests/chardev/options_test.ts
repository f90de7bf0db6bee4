import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { VirtcredsError } from "../../base/mod.ts";
import { ChannelError } from "../../channel/mod.ts";
import { ChardevError, parseSocketChardev, type SocketChardev } from "../../chardev/mod.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { REFUSED_BY_QEMU, TAKEN_BY_QEMU } from "./option_rows.ts";

Deno.test("parseSocketChardev() refuses what QEMU refuses in its words", () => {
  for (const [text, message] of REFUSED_BY_QEMU) {
    const error = assertThrows(() => parseSocketChardev(text), VirtcredsError, "", text);
    assertEquals(error.message, message, text);
    assert(error instanceof ChannelError || error.hints.length > 0, text);
  }
});

Deno.test("parseSocketChardev() takes what QEMU takes, with its warnings", () => {
  for (const [text, ...warnings] of TAKEN_BY_QEMU) {
    const chardev = parseSocketChardev(text);
    assertEquals(chardev.warnings.map((warning) => warning.text), warnings, text);
    assert(chardev.server, text);
  }
});

Deno.test("parseSocketChardev() advises as QEMU does on each short form", () => {
  const advice: [string, string][] = [
    ["server", "Please use server=on instead"],
    ["noserver", "Please use server=off instead"],
    ["nomux", "Please use mux=off instead"],
    ["nodelay", "Please use nodelay=on instead"],
    ["delay", "Please use nodelay=off instead"],
  ];
  for (const [short, hint] of advice) {
    const { warnings } = parseSocketChardev(`socket,id=c0,host=a,port=1,${short}`);
    assertEquals(warnings, [{ text: `short-form boolean option '${short}' deprecated`, hint }]);
  }
});

Deno.test("parseSocketChardev() reads every option that has an effect", () => {
  const cases: [string, Partial<SocketChardev>][] = [
    ["host=h,port=7", {
      id: "c0",
      address: { kind: "tcp", host: "h", port: 7 },
      server: false,
      reconnect: 0,
      logappend: false,
      warnings: [],
    }],
    ["host=,port=0,server=on", { address: { kind: "tcp", host: "", port: 0 }, server: true }],
    ["host=::1,port=1", { address: { kind: "tcp", host: "::1", port: 1 } }],
    ["host=h,port=010", { address: { kind: "tcp", host: "h", port: 10 } }],
    ["host=h,port=1,server=on,to=0x20,ipv6=off", {
      address: { kind: "tcp", host: "h", port: 1, to: 32, ipv6: false },
    }],
    ["path=/a,,b", { address: { kind: "unix", path: "/a,b" } }],
    ["path=/x,,,server=on", { address: { kind: "unix", path: "/x," }, server: true }],
    ["path=name,abstract=on", { address: { kind: "unix", path: "\0name" } }],
    ["path=name,abstract=on,tight=on", { address: { kind: "unix", path: "\0name" } }],
    ["host=h,port=1,reconnect=3", { reconnect: 3000 }],
    ["host=h,port=1,reconnect=010", { reconnect: 8000 }],
    ["host=h,port=1,reconnect=1,reconnect=0", { reconnect: 0 }],
    ["host=h,port=1,reconnect-ms=50", { reconnect: 50 }],
    ["host=h,port=1", { nodelay: true }],
    ["host=h,port=1,nodelay=off", { nodelay: false }],
    ["host=h,port=1,delay=on", { nodelay: false }],
    ["host=h,port=1,delay=off", { nodelay: true }],
    ["host=h,port=1,nodelay", { nodelay: true }],
    ["host=h,port=1,server=on,wait=off", { server: true }],
    ["host=h,port=1,tls-creds=t,tls-authz=z,tls-hostname=n", {
      tlsCreds: "t",
      tlsAuthz: "z",
      tlsHostname: "n",
    }],
    ["host=h,port=1,logfile=/l,,1,logappend=on", { logfile: "/l,1", logappend: true }],
    ["host=h,port=1,telnet=off,mux=off,websocket=off,tn3270=off", { server: false }],
  ];
  for (const [tail, expected] of cases) {
    const chardev = parseSocketChardev(`socket,id=c0,${tail}`);
    for (const [key, value] of Object.entries(expected)) {
      assertEquals(chardev[key as keyof SocketChardev], value, `${tail}: ${key}`);
    }
  }
});

Deno.test("parseSocketChardev() refuses what QEMU takes and is not done here", () => {
  const cases: [string, ChardevError["code"], string][] = [
    ["host=h,port=1,telnet=on", "UNSUPPORTED", "cannot do telnet=on here"],
    ["host=h,port=1,tn3270=on", "UNSUPPORTED", "cannot do tn3270=on here"],
    ["host=h,port=1,mux=on", "UNSUPPORTED", "cannot do mux=on here"],
    ["host=h,port=1,server=on,websocket=on", "UNSUPPORTED", "cannot do websocket=on here"],
    ["fd=3", "UNSUPPORTED", "cannot do fd= here"],
    ["fd=3,server=on", "UNSUPPORTED", "cannot do fd= here"],
    ["path=n,abstract=on,tight=off", "UNSUPPORTED", "cannot do tight=off here"],
    ["host=h,port=1,width=3", "NO_EFFECT", "option 'width' has no effect on a socket"],
    ["host=h,port=1,localaddr=1.2.3.4", "NO_EFFECT", "'localaddr' has no effect on a socket"],
    ["path=/x,port=1", "NO_EFFECT", "option 'port' has no effect on a unix socket"],
    ["path=/x,nodelay=on", "NO_EFFECT", "option 'nodelay' has no effect on a unix socket"],
    ["host=h,port=1,abstract=on", "NO_EFFECT", "option 'abstract' has no effect on a TCP socket"],
    ["host=h,port=1,to=2", "NO_EFFECT", "option 'to' has no effect on a client"],
    ["host=h,port=1,logappend=on", "NO_EFFECT", "'logappend' has no effect without logfile="],
    ["host=h,port=1,tls-hostname=n", "OPTION", "'tls-hostname' option requires 'tls-creds'"],
    ["host=h,port=1,reconnect=-1", "OPTION", "Parameter 'reconnect' expects a number"],
    ["host=h,port=1,reconnect=9999999", "OPTION", "cannot wait 9999999000 ms"],
  ];
  for (const [tail, code, message] of cases) {
    const text = `socket,id=c0,${tail}`;
    const error = assertThrows(() => parseSocketChardev(text), ChardevError, message, text);
    assertEquals([error.code, error.exitCode], [code, 2], text);
    assert(error.hints.length > 0, text);
  }
  const backend = assertThrows(() => parseSocketChardev("null,id=c0"), ChardevError);
  assertEquals(backend.code, "UNSUPPORTED");
});

Deno.test("parseSocketChardev() names only options that it then takes", () => {
  const { hints } = assertThrows(
    () => parseSocketChardev("socket,id=c0,host=h,port=1,bogus=1"),
    ChardevError,
  );
  const [anywhere, server, client] = hints.map((hint) => hint.replace(/^.*?: /, "").split(", "));
  const texts: Record<string, string> = {
    id: "host=h,port=1",
    host: "host=h,port=1",
    port: "host=h,port=1",
    path: "path=/s",
    abstract: "path=s,abstract=on",
    "tls-creds": "host=h,port=1,tls-creds=t",
    "tls-authz": "host=h,port=1,tls-creds=t,tls-authz=z",
    "tls-hostname": "host=h,port=1,tls-creds=t,tls-hostname=n",
    logfile: "host=h,port=1,logfile=l",
    logappend: "host=h,port=1,logfile=l,logappend=on",
    reconnect: "host=h,port=1,reconnect=1",
    "reconnect-ms": "host=h,port=1,reconnect-ms=1",
    to: "host=h,port=1,server=on,to=2",
    wait: "host=h,port=1,server=on,wait=off",
  };
  for (const [names, more] of [[anywhere, ""], [server, ",server=on"], [client, ""]] as const) {
    assert(names !== undefined && names.length > 1);
    for (const name of names) {
      parseSocketChardev(`socket,id=c0,${texts[name] ?? `host=h,port=1,${name}=on`}${more}`);
    }
  }
  assertEquals(hints.length, 3);
});

Deno.test("parseSocketChardev() refuses ports that do not exist", () => {
  for (const port of ["65536", "99999", "70000,server=on,to=70001", "5000,server=on,to=4999"]) {
    assertThrows(() => parseSocketChardev(`socket,id=c0,host=h,port=${port}`), VirtcredsError);
  }
});

Deno.test("parseSocketChardev() gives a device or one clear error for any text", () => {
  const words = fc.constantFrom(
    ..."socket id=c0 host=127.0.0.1 host= port=0 port=1 server nowait server=on wait=off path=/x to=9"
      .split(" "),
    ..."tls-creds=t tls-authz=a tls-hostname=h reconnect=1 nodelay delay fd=3 abstract=on ,, = , no"
      .split(" "),
    ..."mux=on telnet logfile=x logappend __proto__=1 constructor toString= \n \0 é id".split(" "),
  );
  const texts = fc.oneof(
    fc.array(fc.oneof(words, fc.string({ maxLength: 8 })), { maxLength: 8 })
      .map((parts) => parts.join(",")),
    fc.tuple(fc.array(words, { maxLength: 6 }), fc.string()).map(([parts, tail]) =>
      `socket,id=c0,${parts.join(",")}${tail}`
    ),
  );
  const runs = soakCount(10_000);
  let taken = 0;
  fc.assert(
    fc.property(texts, (text) => {
      try {
        parseSocketChardev(text);
        taken++;
      } catch (error) {
        assert(error instanceof VirtcredsError, String(error));
        assert(!/\p{Cc}/u.test(error.message), JSON.stringify(error.message));
      }
    }),
    { numRuns: runs },
  );
  soakRow("option strings of --chardev", runs, `${taken} taken, the rest refused in one line`);
});
