/** Option texts that QEMU refuses and its words for each, as facts of QEMU 7.2. */

/** Rows of `[text, message]`. */
export const REFUSED_BY_QEMU: readonly (readonly [text: string, message: string])[] = [
  ["socket", "chardev: no id specified"],
  ["socket,id=0c,host=a,port=1", "Parameter 'id' expects an identifier"],
  ["socket,id=,host=a,port=1", "Parameter 'id' expects an identifier"],
  ["socket,id=cé,host=a,port=1", "Parameter 'id' expects an identifier"],
  ["socket,id=c0,,host=127.0.0.1,port=0", "Parameter 'id' expects an identifier"],
  ["id=c0", 'chardev: "c0" missing backend'],
  ["host=127.0.0.1,port=0,id=c0", 'chardev: "c0" missing backend'],
  ["foo,id=c0", "'foo' is not a valid char driver name"],
  [",id=c0", "'' is not a valid char driver name"],
  ["socket,id=c0", "Unable to parse FD number "],
  ["socket,id=c0,port=5", "Unable to parse FD number "],
  ["socket,id=c0,host=127.0.0.1", "chardev: socket: no port given"],
  ["socket,id=c0,host=a,path=/x", "None or one of 'path', 'fd' or 'host' option required."],
  ["socket,id=c0,path=/x,fd=3", "None or one of 'path', 'fd' or 'host' option required."],
  ["socket,id=c0,host=127.0.0.1,port=1,bogus=1", "Invalid parameter 'bogus'"],
  ["socket,id=c0,host=127.0.0.1,port=1,Server=on", "Invalid parameter 'Server'"],
  ["socket,id=c0,host=127.0.0.1,port=1,bogus", "Invalid parameter 'bogus'"],
  ["socket,id=c0,host=127.0.0.1,port=1,no", "Invalid parameter ''"],
  ["socket,id=c0,host=127.0.0.1,port=1,=x", "Invalid parameter ''"],
  ["socket,id=c0,host=127.0.0.1,port=1,help=on", "Invalid parameter 'help'"],
  ["socket,host=127.0.0.1,port=1,bogus=2", "Invalid parameter 'bogus'"],
  ["socket,id=c0,host=127.0.0.1,port=1,server=maybe", "Parameter 'server' expects 'on' or 'off'"],
  ["socket,id=c0,host=127.0.0.1,port=1,server=1", "Parameter 'server' expects 'on' or 'off'"],
  ["socket,id=c0,host=127.0.0.1,port=1,server=On", "Parameter 'server' expects 'on' or 'off'"],
  ["socket,id=c0,port=5,server=x,bogus", "Parameter 'server' expects 'on' or 'off'"],
  ["socket,id=c0,host=127.0.0.1,port=1,reconnect=x", "Parameter 'reconnect' expects a number"],
  ["socket,id=c0,host=127.0.0.1,port=1,reconnect", "Parameter 'reconnect' expects a number"],
  ["socket,id=c0,host=127.0.0.1,port=1,reconnect=", "Parameter 'reconnect' expects a number"],
  ["socket,id=c0,host=127.0.0.1,port=1,reconnect=1.5", "Parameter 'reconnect' expects a number"],
  ["socket,id=c0,host=127.0.0.1,port=1,reconnect=08", "Parameter 'reconnect' expects a number"],
  [
    "socket,id=c0,host=127.0.0.1,port=1,reconnect=99999999999999999999",
    "Value '99999999999999999999' is too large for parameter 'reconnect'",
  ],
  ["socket,id=c0,host=a,port=0,to=x,server=on,wait=off", "Parameter 'to' expects a number"],
  [
    "socket,id=c0,host=127.0.0.1,port=1,nodelay=on,delay=on",
    "'delay' and 'nodelay' are mutually exclusive",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=1,nodelay,nodelay=on",
    "'delay' and 'nodelay' are mutually exclusive",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=1,server=off,wait=on",
    "'wait' option is incompatible with socket in client connect mode",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=1,wait=off",
    "'wait' option is incompatible with socket in client connect mode",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=1,nowait",
    "'wait' option is incompatible with socket in client connect mode",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,reconnect=1",
    "'reconnect' option is incompatible with socket in server listen mode",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,reconnect=0",
    "'reconnect' option is incompatible with socket in server listen mode",
  ],
  ["socket,id=c0,fd=99,reconnect=1", "'reconnect' option is incompatible with 'fd' address type"],
  [
    "socket,id=c0,fd=99,tls-creds=client0",
    "'tls_creds' option is incompatible with 'fd' address type as client",
  ],
  [
    "socket,id=c0,path=/nowhere/s,tls-creds=server0,server=on,wait=off",
    "'tls_creds' option is incompatible with 'unix' address type",
  ],
  [
    "socket,id=c0,path=/nowhere/s,tls-creds=client0",
    "'tls_creds' option is incompatible with 'unix' address type",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=1,tls-authz=a",
    "'tls_authz' option requires 'tls_creds' option",
  ],
  [
    "socket,id=c0,host=a,port=0,server=on,wait=off,tls-authz=a,reconnect=1",
    "'tls_authz' option requires 'tls_creds' option",
  ],
  ["socket,id=c0,host=127.0.0.1,port=1,websocket=on", "Websocket client is not implemented"],
  [
    "socket,id=c0,host=127.0.0.1,port=1,websocket=on,wait=on",
    "Websocket client is not implemented",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,ipv4=off,ipv6=off",
    "Cannot disable IPv4 and IPv6 at same time",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=abc,server=on,wait=off",
    "address resolution failed for 127.0.0.1:abc: Servname not supported for ai_socktype",
  ],
  [
    "socket,id=c0,host=[::1],port=0,server=on,wait=off",
    "address resolution failed for [::1]:0: Name or service not known",
  ],
];

/** Texts that QEMU takes, with the warnings it prints. */
export const TAKEN_BY_QEMU: readonly (readonly [text: string, ...warnings: string[]])[] = [
  ["socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off"],
  ["socket,id=c.-_0,host=127.0.0.1,port=0,server=yes,wait=no"],
  ["socket,id=c0,host=127.0.0.1,port=0,server=y,wait=n,"],
  ["socket,id=c0,host=127.0.0.1,port=0,server=true,wait=false"],
  ["backend=socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off"],
  ["socket,id=c0,id=d0,host=127.0.0.1,port=0,server=on,wait=off"],
  ["socket,id=c0,host=127.0.0.1,port=0,to=65535,server=on,wait=off"],
  ["socket,id=c0,host=127.0.0.1,port=0,server=off,server=on,wait=off"],
  [
    "socket,id=c0,host=127.0.0.1,port=0,server,nowait",
    "short-form boolean option 'server' deprecated",
    "short-form boolean option 'nowait' deprecated",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,nodelay",
    "short-form boolean option 'nodelay' deprecated",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,nodelay,delay",
    "short-form boolean option 'nodelay' deprecated",
    "short-form boolean option 'delay' deprecated",
  ],
];
