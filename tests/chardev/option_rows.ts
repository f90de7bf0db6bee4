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
  ["socket,id=c0,fd=abc", "Unable to parse FD number abc"],
  ["file,id=c0", "chardev: file: no filename given"],
  ["pipe,id=c0", "chardev: pipe: no device path given"],
  ["ringbuf,id=c0,size=3", "size of ringbuf chardev must be power of two"],
  ["ringbuf,id=c0,size=1.5k", "size of ringbuf chardev must be power of two"],
  ["memory,id=c0,size=5", "size of ringbuf chardev must be power of two"],
  ["ringbuf,id=c0,size=x", "Parameter 'size' expects a non-negative number below 2^64"],
  ["ringbuf,id=c0,size=-1", "Parameter 'size' expects a non-negative number below 2^64"],
  ["stdio,id=c0,signal=x", "Parameter 'signal' expects 'on' or 'off'"],
  [
    "socket,id=c0,host=h,port=1,size=x",
    "Parameter 'size' expects a non-negative number below 2^64",
  ],
  ["null,id=c0,bogus=1", "Invalid parameter 'bogus'"],
  ["console,id=c0", "'console' is not a valid char driver name"],
  ["hub,id=c0", "'hub' is not a valid char driver name"],
  ["exec,id=c0", "'exec' is not a valid char driver name"],
  ["socket,id=c0,wait=off", "'wait' option is incompatible with socket in client connect mode"],
  ["socket,id=c0,reconnect=1", "'reconnect' option is incompatible with 'fd' address type"],
  ["socket,id=c0,websocket=on", "Websocket client is not implemented"],
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
    "socket,id=c0,host=127.0.0.1,port=nosuch",
    "address resolution failed for 127.0.0.1:nosuch: Servname not supported for ai_socktype",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=80x",
    "address resolution failed for 127.0.0.1:80x: Servname not supported for ai_socktype",
  ],
  [
    "socket,id=c0,host=,port=,server=on,wait=off",
    "address resolution failed for :: Name or service not known",
  ],
  [
    "socket,id=c0,host=[::1],port=0,server=on,wait=off",
    "address resolution failed for [::1]:0: Name or service not known",
  ],
];

/**
 * What is refused where there are `server0`, `client0` and `az0`, which are no credentials; `nope`
 * is nothing.
 */
export const REFUSED_WITH_OBJECTS: readonly (readonly [text: string, message: string])[] = [
  ["socket,id=c0,fd=99,tls-creds=nope", "No TLS credentials with id 'nope'"],
  ["socket,id=c0,fd=x,tls-creds=nope", "No TLS credentials with id 'nope'"],
  ["socket,id=c0,fd=x,reconnect=1,tls-creds=nope", "No TLS credentials with id 'nope'"],
  ["socket,id=c0,tls-creds=nope", "No TLS credentials with id 'nope'"],
  ["socket,id=c0,fd=x,server=on,tls-creds=az0", "Object with id 'az0' is not TLS credentials"],
  [
    "socket,id=c0,fd=99,tls-creds=client0",
    "'tls_creds' option is incompatible with 'fd' address type as client",
  ],
  [
    "socket,id=c0,fd=99,reconnect=1,tls-creds=client0",
    "'reconnect' option is incompatible with 'fd' address type",
  ],
  ["socket,id=c0,fd=99,tls-creds=server0", "Expected TLS credentials for a client endpoint"],
  ["socket,id=c0,path=/nowhere/s,tls-creds=nope", "No TLS credentials with id 'nope'"],
  [
    "socket,id=c0,path=/nowhere/s,server=on,wait=off,tls-creds=nope",
    "No TLS credentials with id 'nope'",
  ],
  ["socket,id=c0,path=/nowhere/s,tls-creds=az0", "Object with id 'az0' is not TLS credentials"],
  [
    "socket,id=c0,path=/nowhere/s,tls-creds=server0,server=on,wait=off",
    "'tls_creds' option is incompatible with 'unix' address type",
  ],
  [
    "socket,id=c0,path=/nowhere/s,tls-creds=client0,server=on,wait=off",
    "Expected TLS credentials for a server endpoint",
  ],
  [
    "socket,id=c0,path=/nowhere/s,tls-creds=client0",
    "'tls_creds' option is incompatible with 'unix' address type",
  ],
  [
    "socket,id=c0,path=/nowhere/s,tls-creds=server0",
    "Expected TLS credentials for a client endpoint",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,reconnect=1,tls-creds=nope",
    "No TLS credentials with id 'nope'",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,reconnect=1,tls-creds=client0",
    "Expected TLS credentials for a server endpoint",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,reconnect=1,tls-creds=server0",
    "'reconnect' option is incompatible with socket in server listen mode",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=1,websocket=on,tls-creds=nope",
    "No TLS credentials with id 'nope'",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=1,websocket=on,tls-creds=client0",
    "Websocket client is not implemented",
  ],
  ["socket,id=c0,host=127.0.0.1,port=abc,tls-creds=nope", "No TLS credentials with id 'nope'"],
  [
    "socket,id=c0,host=127.0.0.1,port=abc,tls-creds=server0",
    "Expected TLS credentials for a client endpoint",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=abc,tls-creds=client0",
    "address resolution failed for 127.0.0.1:abc: Servname not supported for ai_socktype",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=1,wait=on,tls-creds=nope",
    "No TLS credentials with id 'nope'",
  ],
  [
    "socket,id=c0,host=127.0.0.1,port=1,wait=on,tls-creds=client0",
    "'wait' option is incompatible with socket in client connect mode",
  ],
];

/** Texts of `-serial` that QEMU refuses; without a message it prints its last line alone. */
export const REFUSED_SERIALS: readonly (readonly [text: string, message?: string])[] = [
  ["tcp:"],
  ["tcp:127.0.0.1"],
  ["tcp:127.0.0.1:"],
  [`tcp:${"a".repeat(65)}:1`],
  ["chardev:nope"],
  ["tcp:[::1]:1", "address resolution failed for [::1]:1: Servname not supported for ai_socktype"],
  ["tcp:127.0.0.1:1,bogus=1", "Invalid parameter 'bogus'"],
  ["tcp:127.0.0.1:1,,server", "Invalid parameter ''"],
  ["tcp:127.0.0.1:1,server=maybe", "Parameter 'server' expects 'on' or 'off'"],
  ["tcp:127.0.0.1:1,wait=off", "'wait' option is incompatible with socket in client connect mode"],
  [
    "telnet:127.0.0.1:1,wait=off",
    "'wait' option is incompatible with socket in client connect mode",
  ],
  [
    "tcp:127.0.0.1:1,server=on,wait=off,reconnect=1",
    "'reconnect' option is incompatible with socket in server listen mode",
  ],
  ["websocket:127.0.0.1:1", "Websocket client is not implemented"],
  ["unix:", "Unable to parse FD number "],
  ["bogus", "'bogus' is not a valid char driver"],
  ["telnet", "'telnet' is not a valid char driver"],
  ["null,x", "'null,x' is not a valid char driver"],
  ["mon:bogus", "'bogus' is not a valid char driver"],
  ["mon:mon:stdio", "'mon:stdio' is not a valid char driver"],
  ["con:", "'console' is not a valid char driver name"],
];

/** Texts that QEMU takes, with the warnings it prints. */
export const TAKEN_BY_QEMU: readonly (readonly [text: string, ...warnings: string[]])[] = [
  ["socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off"],
  ["socket,id=c0,host=127.0.0.1,port=,server=on,wait=off"],
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
  ["null,id=c0"],
  ["ringbuf,id=c0"],
  ["ringbuf,id=c0,size=0"],
  ["memory,id=c0,size=4k"],
  ["null,id=c0,mux", "short-form boolean option 'mux' deprecated"],
  [
    "socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,nodelay,delay",
    "short-form boolean option 'nodelay' deprecated",
    "short-form boolean option 'delay' deprecated",
  ],
];
