// The inner tier: waiting for a server, choosing one, and the checks that tell who is alive. The
// idea: connection failures go on to further servers here; a server that is lost in the middle of a
// request makes a 502, which the outer tier answers by sending the request to `again`. Danger: this
// tier believes the identity headers, so its sockets are for HAProxy's user alone.

import {
  type EdgeAuthority,
  type EdgeConfig,
  type EdgePaths,
  HEALTH_PATH,
  HOLD_MS_MAX,
} from "./config.ts";
import { endpoint, LOGGED, ownedBy, section } from "./text.ts";

/** Paths that need no JRuby. */
const LIGHT = "/status/ /metrics/ /puppet/v3/static_file_content/ /puppet-admin-api/";

/** The first connection that fails is as good as a failed check: the next one goes elsewhere. */
const SUSPECT = "observe layer4 error-limit 1 on-error mark-down";

/**
 * Requests to the daemon at once; more wait here, since a full queue of its socket looks like
 * death.
 */
const AUTHORITY_REQUESTS_MAX = 200;

/** The frontends `once` and `again`. */
export function innerSections(config: EdgeConfig, paths: EdgePaths): string[] {
  const bind = (path: string) => `bind unix@${path} mode 600${ownedBy(config)} backlog 4096`;
  const read = [
    LOGGED,
    "http-request set-var(txn.id) req.hdr(x-understudy-request)",
    "http-request set-var(txn.arrived) req.hdr(x-understudy-arrived)",
    'http-request set-var(txn.certname) "req.hdr(x-client-dn),regsub(^CN=,)"',
    "http-request set-var(txn.path) path",
    // Who asks for a status wants to hear it now.
    "acl status path_beg /status/",
  ];
  const route = [
    "http-request del-header x-understudy- -m beg",
    `use_backend light if { path_beg ${LIGHT} }`,
    "default_backend compilers",
  ];
  const once = section("frontend once", [
    bind(paths.once),
    ...read,
    `http-request lua.hold compilers ${HOLD_MS_MAX} if !status { nbsrv(compilers) lt 1 }`,
    ...route,
    "http-after-response set-var(txn.lost) lua.note_loss if { status 502 }",
  ]);
  const again = section("frontend again", [
    bind(paths.again),
    // Each line of this frontend is a replay.
    "no option dontlog-normal",
    ...read,
    "http-request set-var(txn.replay) str(yes)",
    `http-request lua.again compilers ${HOLD_MS_MAX} if !status`,
    ...route,
    // A second server says that it is busy: the agent hears so, and no third one is asked.
    "http-response set-header x-understudy-refused 503 if { status 503 }",
    "http-response set-status 500 if { status 503 }",
    // The second server that this request lost: the outer tier must not repeat it again.
    "http-after-response set-var(txn.lost_too) lua.note_loss if { status 502 }",
    "http-after-response set-header x-understudy-lost %[var(txn.lost)],%[var(txn.lost_too)] if { status 502 }",
    "http-after-response set-status 500 if { status 502 }",
  ]);
  return [once, again];
}

/** `compilers` with a queue before each puppetserver's JRubies, `light` around that queue. */
export function puppetserverSections(config: EdgeConfig): string[] {
  const tls = mutualTls(config);
  const common = [
    "balance leastconn",
    // HAProxy itself turns to servers of last resort, all of them, when no other is up.
    "option allbackups",
    "http-reuse always",
    "retries 3",
    "retry-on conn-failure",
    // Links that go silent, also in a former worker, where health checks have stopped.
    "option srvtcpka",
    "srvtcpka-idle 6s",
    "srvtcpka-intvl 2s",
    "srvtcpka-cnt 3",
  ];
  // Refused: down after a second at most. Silent: after about three, and its requests go on.
  const check = "check inter 1s fastinter 100ms downinter 500ms fall 3 rise 1";
  const server = (backend: EdgeConfig["backends"][number]) =>
    `server ${backend.name} ${endpoint(backend)} ${tls} verifyhost ${backend.host} tcp-ut 12s weight 100${backend.lastResort === true ? " backup" : ""}`;
  const compilers = section("backend compilers", [
    ...common,
    ...httpCheck(HEALTH_PATH),
    ...config.backends.map(
      (backend) =>
        `${server(backend)} maxconn ${backend.jrubies} slowstart 10s ${check} ${SUSPECT}`,
    ),
  ]);
  const light = section("backend light", [
    ...common,
    ...config.backends.map((backend) => `${server(backend)} track compilers/${backend.name}`),
  ]);
  return [compilers, light];
}

/**
 * `authority`: this server's own daemon, the other servers' in order, then the file server, which
 * answers reads alone. `changes`: the same, but of those that can sign now. `signers` and `signing`
 * count who is left of them. Danger: only a server with checks of its own is marked down by a
 * refused connection, and a backup is not tried before that. When the cluster's CA has ended there
 * is one that answers and signs, stock's, before the file server.
 */
export function authoritySections(config: EdgeConfig): string[] {
  const { stockAuthority: stock } = config;
  if (stock !== undefined) {
    return [
      ...stockSection(config, stock, { name: "authority", count: "signers" }),
      ...stockSection(config, stock, { name: "changes", count: "signing" }),
    ];
  }
  return [
    ...authoritySection(config, { name: "authority", count: "signers", health: "/health/ca" }),
    ...authoritySection(config, { name: "changes", count: "signing", health: "/health/ca/sign" }),
  ];
}

function authoritySection(
  config: EdgeConfig,
  { name, count, health }: { name: string; count: string; health: string },
): string[] {
  const tls = mutualTls(config);
  // No on-marked-down shutdown-sessions: it kills the very request whose failed connection marked
  // the server down, while that is on its way to another one (2.6.12). wait.lua does it for silent
  // ones.
  // Each look costs the daemon a connection, a handshake where it is another server's. Those are
  // asked only when this one can't, and whoever refuses a request is looked at again at once.
  const check = (inter: string) =>
    `check inter ${inter} fastinter 100ms downinter 500ms fall 2 rise 1 ${SUSPECT}`;
  const local = `server local unix@${config.caSocket} maxconn ${AUTHORITY_REQUESTS_MAX}`;
  const other = (authority: EdgeConfig["authorities"][number]) =>
    `server ${authority.name} ${endpoint(authority)} ${tls} verifyhost ${authority.host} backup`;
  const asked = section(`backend ${name}`, [
    "balance roundrobin",
    // Enough to come to the file server's turn when everyone before it has just died.
    `retries ${config.authorities.length + 2}`,
    "retry-on empty-response conn-failure 502 503",
    ...httpCheck(health),
    `${local} ${check("2s")}`,
    ...config.authorities.map((each) => `${other(each)} ${check("3s")}`),
    `server files unix@${config.filesSocket} backup`,
  ]);
  const counted = section(`backend ${count}`, [
    `server local unix@${config.caSocket} track ${name}/local`,
    ...config.authorities.map((each) => `${other(each)} track ${name}/${each.name}`),
  ]);
  return [asked, counted];
}

/** Stock's CA, which answers here once its service is on: before, it has no such status. */
function stockSection(
  config: EdgeConfig,
  { address, port, host }: EdgeAuthority,
  { name, count }: { name: string; count: string },
): string[] {
  const tls = mutualTls(config);
  const server = `server stock ${endpoint({ address, port })} ${tls} verifyhost ${host}`;
  const check = `check inter 2s fastinter 100ms downinter 500ms fall 3 rise 1 ${SUSPECT}`;
  const asked = section(`backend ${name}`, [
    "balance roundrobin",
    "retries 3",
    "retry-on empty-response conn-failure 502 503",
    ...httpCheck("/status/v1/simple/ca"),
    `${server} maxconn ${AUTHORITY_REQUESTS_MAX} ${check}`,
    `server files unix@${config.filesSocket} backup`,
  ]);
  return [asked, section(`backend ${count}`, [`${server} track ${name}/stock`])];
}

function mutualTls(config: EdgeConfig): string {
  return `ssl crt ${config.edgeClientPem} ca-file ${config.edgeCaFile} verify required`;
}

function httpCheck(path: string): string[] {
  const headers = "hdr Host localhost hdr Connection close";
  return [
    "option httpchk",
    `http-check send meth GET uri ${path} ver HTTP/1.1 ${headers}`,
    "http-check expect status 200",
  ];
}
