import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { VirtcredsError } from "../../base/mod.ts";
import { ChannelError } from "../../channel/mod.ts";
import {
  type Chardev,
  ChardevError,
  parseAnyChardev,
  parseChardev,
  parseLegacy,
  parseSocketChardev,
  planTls,
  type SocketChardev,
  type SocketProtocol,
} from "../../chardev/mod.ts";
import { CredsError, ObjectRegistry } from "../../creds/mod.ts";
import type { Engine } from "../../engine/mod.ts";
import { watchMemory } from "../support/memory.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { REFUSED_BY_QEMU, REFUSED_SERIALS, TAKEN_BY_QEMU } from "./option_rows.ts";

Deno.test("parseSocketChardev() refuses what QEMU refuses in its words", () => {
  for (const [text, message] of REFUSED_BY_QEMU) {
    const error = assertThrows(() => parseChardev(text), VirtcredsError, "", text);
    assertEquals(error.message, message, text);
    assert(error instanceof ChannelError || error.hints.length > 0, text);
  }
});

Deno.test("parseSocketChardev() takes what QEMU takes, with its warnings", () => {
  for (const [text, ...warnings] of TAKEN_BY_QEMU) {
    const chardev = parseChardev(text);
    assertEquals(chardev.warnings.map((warning) => warning.text), warnings, text);
    assertEquals(chardev.ignored, [], text);
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
    ["path=name,abstract=on,tight=off", {
      address: { kind: "unix", path: `\0name${"\0".repeat(103)}` },
    }],
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
    ["host=h,port=1,telnet=off,mux=off,websocket=off,tn3270=off", { server: false, mux: false }],
    ["host=h,port=1,mux=on", { mux: true }],
    ["fd=3", { address: { kind: "fd", fd: "3" }, server: false }],
    ["fd=3,server=on", { address: { kind: "fd", fd: "3" }, server: true }],
  ];
  for (const [tail, expected] of cases) {
    const chardev = parseSocketChardev(`socket,id=c0,${tail}`);
    for (const [key, value] of Object.entries(expected)) {
      assertEquals(chardev[key as keyof SocketChardev], value, `${tail}: ${key}`);
    }
  }
});

Deno.test("parseSocketChardev() names what QEMU takes and does nothing with", () => {
  const cases: [string, string][] = [
    ["host=h,port=1,width=3", "option 'width' has no effect on a socket"],
    ["host=h,port=1,localaddr=1.2.3.4", "option 'localaddr' has no effect on a socket"],
    ["path=/x,port=1", "option 'port' has no effect on a unix socket"],
    ["path=/x,nodelay=on", "option 'nodelay' has no effect on a unix socket"],
    ["host=h,port=1,abstract=on", "option 'abstract' has no effect on a TCP socket"],
    ["fd=3,to=4", "option 'to' has no effect on a descriptor"],
    ["host=h,port=1,to=2", "option 'to' has no effect on a client"],
    ["host=h,port=1,logappend=on", "option 'logappend' has no effect without logfile="],
  ];
  for (const [tail, text] of cases) {
    const { ignored } = parseSocketChardev(`socket,id=c0,${tail}`);
    assertEquals(ignored.map((option) => option.text), [text], tail);
    assert(ignored.every((option) => option.hint.startsWith("leave ")), tail);
  }
  assertEquals(parseChardev("pty,id=p0,path=/x").ignored.length, 1);
});

Deno.test("parseSocketChardev() refuses what is not done here", () => {
  const cases: [string, ChardevError["code"], string][] = [
    ["host=h,port=1,tls-hostname=n", "OPTION", "'tls-hostname' option requires 'tls-creds'"],
    ["host=h,port=1,reconnect=-1", "OPTION", "Parameter 'reconnect' expects a number"],
    ["host=h,port=1,reconnect=9999999", "OPTION", "cannot wait 9999999000 ms"],
    // QEMU has this one since 9.2.
    ["host=h,port=1,reconnect-ms=9999999999", "OPTION", "cannot wait 9999999999 ms"],
    ["host=h,port=1,reconnect-ms=x", "OPTION", "Parameter 'reconnect-ms' expects a number"],
    [
      "host=h,port=1,server=on,reconnect-ms=1",
      "OPTION",
      "'reconnect-ms' option is incompatible with socket in server listen mode",
    ],
    [
      "fd=3,reconnect-ms=0",
      "OPTION",
      "'reconnect-ms' option is incompatible with 'fd' address type",
    ],
    [
      "host=h,port=1,reconnect=1,reconnect-ms=1",
      "OPTION",
      "'reconnect' and 'reconnect-ms' are mutually exclusive",
    ],
  ];
  for (const [tail, code, message] of cases) {
    const text = `socket,id=c0,${tail}`;
    const error = assertThrows(() => parseSocketChardev(text), ChardevError, message, text);
    assertEquals([error.code, error.exitCode], [code, 2], text);
    assert(error.hints.length > 0, text);
  }
  for (const text of ["null,id=c0", "serial,id=c0,path=/dev/ttyS0", "vc,id=c0", "mux,id=c0"]) {
    const error = assertThrows(() => parseSocketChardev(text), ChardevError);
    assertEquals(error.code, "UNSUPPORTED", text);
  }
});

Deno.test("parseSocketChardev() reads what runs on the connection, as QEMU names it", () => {
  const cases: [string, SocketProtocol, boolean, SocketChardev["telnet"]][] = [
    ["", "tcp", false, undefined],
    [",telnet=on", "telnet", false, "telnet"],
    [",tn3270=on", "tcp", false, "tn3270"],
    [",websocket=on", "websocket", true, undefined],
    [",telnet=on,websocket=on", "telnet", true, "telnet"],
    [",tn3270=on,websocket=on", "websocket", true, "tn3270"],
    [",telnet=on,tn3270=on", "telnet", false, "tn3270"],
  ];
  for (const [tail, protocol, websocket, telnet] of cases) {
    const chardev = parseSocketChardev(`socket,id=c0,host=h,port=1,server=on${tail}`);
    assertEquals([chardev.protocol, chardev.websocket, chardev.telnet], [
      protocol,
      websocket,
      telnet,
    ], tail);
  }
});

Deno.test("parseChardev() reads every back end with its defaults", () => {
  const cases: [string, Partial<Chardev>][] = [
    ["stdio,id=c0", { kind: "stdio", signal: true, mux: false }],
    ["stdio,id=c0,signal=off,mux=on", { kind: "stdio", signal: false, mux: true }],
    ["pty,id=c0,logfile=/l,logappend=on", { kind: "pty", logfile: "/l", logappend: true }],
    ["file,id=c0,path=/f", { kind: "file", path: "/f", append: false }],
    ["file,id=c0,path=/f,append=on", { kind: "file", path: "/f", append: true }],
    ["pipe,id=c0,path=/p", { kind: "pipe", path: "/p" }],
    ["null,id=c0", { kind: "null" }],
    ["ringbuf,id=c0", { kind: "ringbuf", size: 65536 }],
    ["ringbuf,id=c0,size=0", { kind: "ringbuf", size: 65536 }],
    ["memory,id=c0,size=4k", { kind: "ringbuf", size: 4096 }],
    ["ringbuf,id=c0,size=0.5M", { kind: "ringbuf", size: 524288 }],
    ["ringbuf,id=c0,size=0x10", { kind: "ringbuf", size: 16 }],
  ];
  for (const [text, expected] of cases) {
    const chardev: Readonly<Record<string, unknown>> = { ...parseChardev(text) };
    for (const [key, value] of Object.entries(expected)) {
      assertEquals(chardev[key], value, `${text}: ${key}`);
    }
  }
});

Deno.test("parseLegacy() reads the old forms as the long ones", () => {
  const cases: [old: string, long: string][] = [
    ["tcp:h:7", "socket,id=serial0,host=h,port=7"],
    ["tcp::7,server=on", "socket,id=serial0,host=,port=7,server=on"],
    [
      "tcp:h:7,server=on,wait=off,nodelay=off,tls-creds=t,id=x",
      "socket,id=serial0,host=h,port=7,server=on,wait=off,nodelay=off,tls-creds=t",
    ],
    ["tcp:h:7,host=i", "socket,id=serial0,host=i,port=7"],
    ["telnet:h:7,server=on", "socket,id=serial0,host=h,port=7,server=on,telnet=on"],
    ["telnet:h:7,telnet=off", "socket,id=serial0,host=h,port=7,telnet=on"],
    ["tn3270:h:7", "socket,id=serial0,host=h,port=7,tn3270=on"],
    ["websocket:h:7,server=on", "socket,id=serial0,host=h,port=7,server=on,websocket=on"],
    ["unix:/s,server=on", "socket,id=serial0,path=/s,server=on"],
    ["unix:/s,path=/t", "socket,id=serial0,path=/t"],
    ["mon:tcp:h:7", "socket,id=serial0,host=h,port=7,mux=on"],
    ["mon:stdio", "stdio,id=serial0,mux=on,signal=off"],
    ["tcp:h:7,backend=null", "null,id=serial0"],
    ["file:/a,b", "file,id=serial0,path=/a,,b"],
    ["pipe:/p", "pipe,id=serial0,path=/p"],
    ["pty", "pty,id=serial0"],
    ["null", "null,id=serial0"],
    ["stdio", "stdio,id=serial0"],
  ];
  for (const [old, long] of cases) {
    const { text: _, ignored: _1, ...read } = parseLegacy(old, { id: "serial0" });
    const { text: _2, ignored: _3, ...expected } = parseChardev(long);
    assertEquals(read, expected, old);
  }
  const command = parseLegacy("exec:cat -n", { id: "c" });
  assertEquals(command.kind === "exec" && command.command, "cat -n");
  const named = parseChardev("null,id=n0");
  assertEquals(parseLegacy("chardev:n0", { id: "serial0", find: () => named }), named);
});

Deno.test("parseLegacy() refuses what QEMU refuses in its words, with its last line", () => {
  for (const [text, message] of REFUSED_SERIALS) {
    const error = assertThrows(
      () => parseLegacy(text, { id: "serial0" }),
      VirtcredsError,
      "",
      text,
    );
    const failed = `could not connect serial device to character backend '${text}'`;
    assertEquals(error.message, message ?? failed, text);
    if (message !== undefined && error instanceof ChardevError) {
      assertEquals(error.hints[0], failed, text);
    }
  }
});

Deno.test("parseLegacy() and planTls() advise what goes with either TCP role", () => {
  const { hints } = assertThrows(() => parseLegacy("tcp:h", { id: "serial0" }), ChardevError);
  assertEquals(hints, ["write tcp:HOST:PORT, and ,server=on behind it to listen"]);
  using objects = new ObjectRegistry({ engine: undefined as unknown as Engine });
  const late = parseLegacy("unix:/s,tls-creds=t", { id: "serial0" });
  assertEquals(late.kind === "socket" && late.conflict?.hints, [
    "could not connect serial device to character backend 'unix:/s,tls-creds=t'",
    "TLS needs host= and port=; a unix socket is protected by the mode of its folder",
  ]);
  for (const [more, endpoint] of [["", "client"], [",server=on", "server"]] as const) {
    const chardev = parseSocketChardev(`socket,id=s0,host=h,port=1,tls-creds=t${more}`);
    const error = assertThrows(() => planTls(chardev, objects), CredsError);
    assertEquals(error.message, "No TLS credentials with id 't'");
    assertEquals(error.hints, [`--object tls-creds-x509,id=t,dir=DIR,endpoint=${endpoint}`]);
  }
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
    fd: "fd=3",
  };
  for (const [names, more] of [[anywhere, ""], [server, ",server=on"], [client, ""]] as const) {
    assert(names !== undefined && names.length > 1);
    for (const name of names) {
      const text = `socket,id=c0,${texts[name] ?? `host=h,port=1,${name}=on`}${more}`;
      assertEquals(parseSocketChardev(text).conflict, undefined, text);
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
  const heads = fc.constantFrom(
    ..."socket,id=c0, pty,id=c0, file,id=c0, ringbuf,id=c0,size= tcp:h:1, unix: telnet: mon: exec: /dev/"
      .split(" "),
  );
  const texts = fc.oneof(
    fc.array(fc.oneof(words, fc.string({ maxLength: 8 })), { maxLength: 8 })
      .map((parts) => parts.join(",")),
    fc.tuple(heads, fc.array(words, { maxLength: 6 }), fc.string()).map(([head, parts, tail]) =>
      `${head}${parts.join(",")}${tail}`
    ),
  );
  const runs = soakCount(10_000);
  const memory = watchMemory(runs);
  let taken = 0;
  fc.assert(
    fc.property(texts, (text) => {
      memory.turn();
      try {
        parseAnyChardev(text, { id: "serial0" });
        taken++;
      } catch (error) {
        assert(error instanceof VirtcredsError, String(error));
        assert(!/\p{Cc}/u.test(error.message), JSON.stringify(error.message));
      }
    }),
    { numRuns: runs },
  );
  soakRow(
    "option strings of --chardev",
    runs,
    `${taken} taken, the rest refused in one line; ${memory.flat()}`,
  );
});
