// HAProxy's configuration of one edge, as text. Complete on its own: HAProxy started with these files
// serves agents without daemon, etcd or any other process of ours.
// The idea: two tiers. The outer one terminates TLS, establishes who asks, and keeps the whole request;
// its only servers are the inner frontends `once` and `again` of the same HAProxy. A request whose
// server dies comes back through `again`, so "is a replay" is a property of where it arrives.
// Danger: the inner tier believes the identity headers, so its sockets are for HAProxy's user alone.

import { CA_BODY_BYTES_MAX, CA_HOLD_MS_MAX, connectionsMax, edgePaths } from "./config.ts";
import { HOLD_MS_MAX, POISON_S, REPLAY_BYTES_MAX, REWRITE_BYTES } from "./config.ts";
import type { EdgeConfig, EdgePaths } from "./config.ts";
import { issuerKey } from "./identity.ts";
import { renderLua } from "./lua.ts";

/** Every file that `config` determines. revoked.acl and poison.map live longer and are not among them. */
export interface EdgeFiles {
  haproxyCfg: string;
  waitLua: string;
}

/** Renders HAProxy's configuration and its Lua. Equal configs give equal text. */
export function renderEdge(config: EdgeConfig): EdgeFiles {
  const paths = edgePaths(config);
  const sections = [
    globalSection(config, paths),
    defaultsSection(config),
    agentsSection(config, paths),
    replaySection(paths),
    ...innerSections(config, paths),
    ...puppetserverSections(config),
    ...authoritySections(config),
  ];
  const header = "# Rendered by Understudy; changes are overwritten.";
  return { haproxyCfg: `${header}\n\n${sections.join("\n\n")}\n`, waitLua: renderLua() };
}

function section(title: string, lines: readonly (string | false)[]): string {
  return [title, ...lines.filter((line) => line !== false).map((line) => `    ${line}`)].join("\n");
}

function globalSection(config: EdgeConfig, paths: EdgePaths): string {
  const connections = connectionsMax(config.memoryMiB);
  return section("global", [
    // The upper limit keeps HAProxy's "emergency" off every terminal of the server.
    "log stdout len 4096 format short daemon info err",
    `stats socket ${paths.stats} mode 600 level admin`,
    config.runAs !== undefined && `user ${config.runAs.user}`,
    config.runAs !== undefined && `group ${config.runAs.group}`,
    // Every agent's request passes an inner frontend as well.
    `maxconn ${connections * 3 + 100}`,
    // A former worker may hold a request as long as an agent waits.
    "hard-stop-after 11m",
    `tune.bufsize ${REPLAY_BYTES_MAX}`,
    `tune.maxrewrite ${REWRITE_BYTES}`,
    // A resumed session would skip the verification of the certificate.
    "tune.ssl.cachesize 0",
    "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
    `lua-load ${paths.lua}`,
  ]);
}

const LOG_FORMAT = [
  "id=%[var(txn.id)] from=%ci certname=%[var(txn.certname)] method=%HM",
  "path=%[var(txn.path)] status=%ST bytes=%B tier=%f server=%b/%s retries=%rc replayed=%[var(txn.replay)]",
  "lost=%[var(txn.lost)] refused=%[var(txn.refused)] queue=%sq/%bq ms=%TR/%Tw/%Tc/%Tr/%Ta end=%tsc",
].join(" ");

/** Frontends only: what a backend logs are state changes, which HAProxy writes to stderr anyway. */
const LOGGED = "log global";

function defaultsSection(config: EdgeConfig): string {
  return section("defaults", [
    "mode http",
    `log-format "${LOG_FORMAT}"`,
    // Failures, replays and refusals; a line per request would be hundreds a second in a large fleet.
    config.logEverything !== true && "option dontlog-normal",
    "option dontlognull",
    // The place in the queue of an agent that has gone is given to another.
    "option abortonclose",
    "option redispatch 1",
    "timeout connect 2s",
    "timeout client 15m",
    "timeout server 15m",
    "timeout queue 9m",
    "timeout http-request 60s",
    "timeout http-keep-alive 30s",
    "timeout check 2s",
  ]);
}

const CERTNAME = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\\.[a-z0-9_-]*[a-z0-9_])*\\.*";

function agentsSection(config: EdgeConfig, paths: EdgePaths): string {
  const tls = [
    `ssl crt ${config.certificateFile}`,
    `ca-file ${config.puppetCaFile} verify optional alpn http/1.1`,
  ].join(" ");
  return section("frontend agents", [
    ...config.bind.map(({ address, port }) => `bind ${endpoint(address, port)} ${tls}`),
    LOGGED,
    `maxconn ${connectionsMax(config.memoryMiB)}`,
    config.acceptProxyFrom.length > 0 &&
      `tcp-request connection expect-proxy layer4 if { src ${config.acceptProxyFrom.join(" ")} }`,
    // Rules run once the whole body is here, so what they judge is as it is when it is sent on.
    "option http-buffer-request",
    // Agents never retry: an idle connection stays until its next request, also in a former worker.
    "option idle-close-on-response",
    "",
    "unique-id-format %[uuid()]",
    "http-request set-var(txn.id) unique-id",
    "http-request set-var(txn.path) path",
    ...identityLines(config, paths),
    "",
    "acl ca path_beg /puppet-ca/",
    "acl ca path /status/v1/simple/ca /status/v1/services /status/v1/services/ca",
    "acl ca_read path_beg /puppet-ca/v1/certificate/ /puppet-ca/v1/certificate_revocation_list/",
    "acl ca_again path_beg /puppet-ca/v1/certificate_request/",
    `http-request set-var(txn.refused) str(body) if ca { req.hdr_val(content-length) gt ${CA_BODY_BYTES_MAX} } or ca { req.body_len gt ${CA_BODY_BYTES_MAX} }`,
    'http-request return status 413 content-type text/plain string "The request is too large.\\n" if { var(txn.refused) -m str body }',
    // What may change a certificate is not repeated, except a certificate request: a second one is harmless.
    "http-request disable-l7-retry if ca !{ method GET } !ca_again",
    ...poisonLines(paths),
    `http-request lua.hold authority ${CA_HOLD_MS_MAX} if ca !ca_read { nbsrv(authority) lt 1 }`,
    "use_backend authority_reads if ca ca_read { method GET }",
    "use_backend authority if ca",
    "default_backend replay",
  ]);
}

function endpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function identityLines(config: EdgeConfig, paths: EdgePaths): string[] {
  const issuers = config.issuers.map(issuerKey).join(" ");
  const pem =
    "-----BEGIN%%20CERTIFICATE-----%%0A%[ssl_c_der,base64]%%0A-----END%%20CERTIFICATE-----%%0A";
  const refuse = (why: string, condition: string) =>
    `http-request set-var(txn.refused) str(${why}) if { ssl_c_used } ${condition}`;
  return [
    "http-request set-var(txn.now) date()",
    "http-request set-var(txn.certname) ssl_c_s_dn(CN) if { ssl_c_used }",
    'http-request set-var(txn.issuer) "ssl_c_i_dn(,0,rfc2253),sha2(256),bytes(0,8),hex" if { ssl_c_used }',
    "http-request set-var(txn.serial) ssl_c_serial,hex if { ssl_c_used }",
    "http-request set-var(txn.key) var(txn.issuer),concat(:,txn.serial) if { ssl_c_used }",
    refuse("revoked", `{ var(txn.key) -m str -f ${paths.revoked} }`),
    refuse("issuer", `!{ var(txn.issuer) -m str ${issuers === "" ? "none" : issuers} }`),
    refuse("subject", `!{ ssl_c_s_dn(,0,rfc2253) -m reg '^CN=${CERTNAME}\\z' }`),
    refuse("unverified", "!{ ssl_c_verify 0 }"),
    'http-request deny status 403 content-type text/plain lf-string "Forbidden: the certificate was refused by the edge (%[var(txn.refused)]).\\n" if { var(txn.refused) -m found }',
    "",
    "http-request del-header '(?i)^x[-_](client|understudy)([-_]|$)' -m reg",
    "http-request set-header X-Client-Verify SUCCESS if { ssl_c_used }",
    "http-request set-header X-Client-Verify NONE unless { ssl_c_used }",
    'http-request set-header X-Client-DN "CN=%[var(txn.certname)]" if { ssl_c_used }',
    `http-request set-header X-Client-Cert ${pem} if { ssl_c_used }`,
    "http-request set-header X-Understudy-Request %[unique-id]",
    "http-request set-header X-Understudy-Arrived %[date(0,ms)]",
  ];
}

/** A catalog that killed the server of its replay too is not replayed for a while. */
function poisonLines(paths: EdgePaths): string[] {
  return [
    "acl catalog path_beg /puppet/v3/catalog/ /puppet/v4/catalog",
    `http-request set-var(txn.poison) "var(txn.certname),map(${paths.poison},0),field(1,|),add(${POISON_S}),sub(txn.now)" if catalog`,
    "http-request disable-l7-retry if { var(txn.poison) -m int gt 0 }",
  ];
}

function replaySection(paths: EdgePaths): string {
  return section("backend replay", [
    "retries 3",
    "retry-on empty-response conn-failure 502 503",
    // `again` is the only one that balancing may choose, `once` the only one that this rule chooses.
    "use-server once if TRUE",
    `server once unix@${paths.once} weight 0`,
    `server again unix@${paths.again} weight 1`,
    `http-response set-map(${paths.poison}) %[var(txn.certname)] %[var(txn.now)]|%[res.hdr(x-understudy-lost)] if { res.hdr(x-understudy-lost) -m found } { var(txn.certname) -m found } { var(txn.path) -m beg /puppet/v3/catalog/ /puppet/v4/catalog }`,
    "http-response del-header x-understudy-lost",
  ]);
}

function innerSections(config: EdgeConfig, paths: EdgePaths): string[] {
  const owner =
    config.runAs === undefined ? "" : ` user ${config.runAs.user} group ${config.runAs.group}`;
  const common = [
    LOGGED,
    "http-request set-var(txn.id) req.hdr(x-understudy-request)",
    "http-request set-var(txn.arrived) req.hdr(x-understudy-arrived)",
    'http-request set-var(txn.certname) "req.hdr(x-client-dn),regsub(^CN=,)"',
    "http-request set-var(txn.path) path",
    "acl status path_beg /status/",
    "acl light path_beg /status/ /puppet/v3/static_file_content/ /metrics/ /puppet-admin-api/",
  ];
  const route = [
    "http-request del-header x-understudy- -m beg",
    "use_backend light if light",
    "default_backend compilers",
  ];
  const once = section("frontend once", [
    `bind unix@${paths.once} mode 600${owner}`,
    ...common,
    `http-request lua.hold compilers ${HOLD_MS_MAX} if !status { nbsrv(compilers) lt 1 }`,
    ...route,
    "http-after-response set-var(txn.lost) lua.note_loss if { status 502 }",
  ]);
  const again = section("frontend again", [
    `bind unix@${paths.again} mode 600${owner}`,
    // Each line here is a replay, so each is logged.
    "no option dontlog-normal",
    ...common,
    "http-request set-var(txn.replay) str(yes)",
    `http-request lua.again compilers ${HOLD_MS_MAX} if !status`,
    ...route,
    // The second server that this request lost: the outer tier must not repeat it again.
    "http-after-response set-var(txn.lost2) lua.note_loss if { status 502 }",
    "http-after-response set-header x-understudy-lost %[var(txn.lost)],%[var(txn.lost2)] if { status 502 }",
    "http-after-response set-status 500 if { status 502 }",
  ]);
  return [once, again];
}

const CHECKED = "check inter 1s fastinter 100ms downinter 500ms fall 3 rise 1";
const SUSPECT = "observe layer4 error-limit 1 on-error mark-down";

function puppetserverSections(config: EdgeConfig): string[] {
  const tls = mutualTls(config);
  const common = [
    "balance leastconn",
    "http-reuse always",
    "retries 3",
    "retry-on conn-failure",
    // A link that goes silent, also in a former worker, where health checks have stopped.
    "option srvtcpka",
    "srvtcpka-idle 6s",
    "srvtcpka-intvl 2s",
    "srvtcpka-cnt 3",
  ];
  const each = config.backends;
  const compilers = section("backend compilers", [
    ...common,
    "option httpchk",
    "http-check send meth GET uri /status/v1/simple/server ver HTTP/1.1 hdr Host localhost hdr Connection close",
    "http-check expect status 200",
    ...each.map(
      ({ name, host, address, port, jrubies }) =>
        `server ${name} ${endpoint(address, port)} ${tls} verifyhost ${host} tcp-ut 12s maxconn ${jrubies} slowstart 10s ${CHECKED} ${SUSPECT}`,
    ),
  ]);
  const light = section("backend light", [
    ...common,
    ...each.map(
      ({ name, host, address, port }) =>
        `server ${name} ${endpoint(address, port)} ${tls} verifyhost ${host} tcp-ut 12s track compilers/${name}`,
    ),
  ]);
  return [compilers, light];
}

function mutualTls(config: EdgeConfig): string {
  return `ssl crt ${config.edgeClientPem} ca-file ${config.edgeCaFile} verify required`;
}

function authoritySections(config: EdgeConfig): string[] {
  const tls = mutualTls(config);
  const check = `check inter 1s fastinter 100ms downinter 500ms fall 2 rise 1 ${SUSPECT} on-marked-down shutdown-sessions`;
  const others = config.authorities;
  const common = [
    "retries 3",
    "retry-on empty-response conn-failure 502 503",
    "balance roundrobin",
  ];
  const authority = section("backend authority", [
    ...common,
    "option httpchk",
    "http-check send meth GET uri /health/ca ver HTTP/1.1 hdr Host localhost hdr Connection close",
    "http-check expect status 200",
    `server local unix@${config.caSocket} ${check}`,
    ...others.map(
      ({ name, host, address, port }) =>
        `server ${name} ${endpoint(address, port)} ${tls} verifyhost ${host} backup ${check}`,
    ),
  ]);
  const reads = section("backend authority_reads", [
    ...common,
    `server local unix@${config.caSocket} track authority/local`,
    ...others.map(
      ({ name, host, address, port }) =>
        `server ${name} ${endpoint(address, port)} ${tls} verifyhost ${host} backup track authority/${name}`,
    ),
    `server files unix@${config.filesSocket} backup`,
  ]);
  return [authority, reads];
}
