// The outer tier: where agents arrive, who they are, and what becomes of a request whose server
// dies. Danger: everything behind believes the X-Client headers that are set here, so whatever
// spelling of them comes in must go, and a certificate that isn't plainly an agent's must be
// refused.

import { isIPv6 } from "node:net";
import { BODY_S_MAX, CA_BODY_BYTES_MAX, CA_HOLD_MS_MAX, connectionsMax } from "./config.ts";
import { muteMax, POISON_S } from "./config.ts";
import type { EdgeConfig, EdgePaths } from "./config.ts";
import { issuerKey } from "./identity.ts";
import { endpoint, LOGGED, section } from "./text.ts";

/** Puppet's rules for certnames: segments of letters, digits, _ and -, none ending in -. */
const CERTNAME = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\\.[a-z0-9_-]*[a-z0-9_])*\\.*";

/** The frontend that agents connect to. */
export function agentsSection(config: EdgeConfig, paths: EdgePaths): string {
  const tls = `ssl crt ${config.certificateFile} ca-file ${config.puppetCaFile} verify optional alpn http/1.1`;
  const balancers = config.acceptProxyFrom.join(" ");
  return section("frontend agents", [
    // Both families have their own listener, so that an IPv4 address never looks like IPv6.
    ...config.bind.map(
      (bind) => `bind ${endpoint(bind)}${isIPv6(bind.address) ? " v6only" : ""} ${tls}`,
    ),
    LOGGED,
    'error-log-format "from=%ci handshake=%[ssl_fc_err_str] verify=%[ssl_c_err]/%[ssl_c_ca_err]"',
    `maxconn ${connectionsMax(config.memoryMiB)}`,
    // Ends connections that never speak. It does not run while an agent waits for its answer.
    "timeout client 60s",
    "option clitcpka",
    balancers !== "" && `tcp-request connection expect-proxy layer4 if { src ${balancers} }`,
    ...muteLines(config),
    "timeout http-request 20s",
    // Rules run once the whole body is here, so what they judge is as it is when it is sent on.
    `http-request wait-for-body time ${BODY_S_MAX}s`,
    // Agents never retry: an idle connection stays until its next request, also in a former worker.
    "option idle-close-on-response",
    "unique-id-format %[uuid()]",
    "http-request set-var(txn.id) unique-id",
    "http-request set-var(txn.path) path",
    "http-request set-var(txn.now) date()",
    "http-request set-var(txn.arrived) date(0,ms)",
    ...identityLines(config, paths),
    ...headerLines(),
    ...authorityLines(),
    ...poisonLines(paths),
    // Agents of Puppet 7 sleep as told and then die of it, whoever sends it.
    "http-after-response del-header retry-after",
    // A server that can't sign would only keep a request for an administrator.
    "use_backend changes if { path_beg /puppet-ca/ } !{ method GET HEAD } { nbsrv(signing) gt 0 }",
    "use_backend authority if ca",
    "default_backend replay",
  ]);
}

/**
 * Connections that never get through their TLS handshake may take a share of the edge only, for
 * each source. Others aren't counted: a whole fleet may come from one address.
 */
function muteLines(config: EdgeConfig): string[] {
  const others =
    config.acceptProxyFrom.length === 0
      ? ""
      : ` unless { src ${config.acceptProxyFrom.join(" ")} }`;
  return [
    `tcp-request connection track-sc0 src table connected${others}`,
    "tcp-request connection set-var(sess.spoken) src,table_conn_cur(spoken)",
    `tcp-request connection reject if { sc0_conn_cur,sub(sess.spoken) gt ${muteMax(config.memoryMiB)} }`,
    "tcp-request session track-sc1 src table spoken",
  ];
}

/** Who is connected, and who of them got through the handshake: connections by source. */
export function sourceSections(): string[] {
  const table = "stick-table type ipv6 size 100k expire 15m store conn_cur";
  return ["connected", "spoken"].map((name) => section(`backend ${name}`, [table]));
}

function identityLines(config: EdgeConfig, paths: EdgePaths): string[] {
  const issuers = config.issuers.length === 0 ? "none" : config.issuers.map(issuerKey).join(" ");
  const known = (name: string, expression: string) =>
    `http-request set-var(txn.${name}) "${expression}" if { ssl_c_used }`;
  // The last one that applies is the reason given.
  const refuse = (why: string, condition: string) =>
    `http-request set-var(txn.refused) str(${why}) if { ssl_c_used } ${condition}`;
  const text = "Forbidden: this certificate is refused (%[var(txn.refused)]).\\n";
  return [
    `acl named ssl_c_s_dn(,0,rfc2253) -m reg '^CN=${CERTNAME}\\z'`,
    // Only a name that is one: it goes into headers, lists and the log as it is.
    'http-request set-var(txn.certname) "ssl_c_s_dn(,0,rfc2253),regsub(^CN=,)" if { ssl_c_used } named',
    known("issuer", "ssl_c_i_dn(,0,rfc2253),sha2(256),bytes(0,8),hex"),
    known("serial", "ssl_c_serial,hex"),
    known("key", "var(txn.issuer),concat(:,txn.serial)"),
    refuse("subject", "!named"),
    refuse("issuer", `!{ var(txn.issuer) -m str ${issuers} }`),
    refuse("unverified", "!{ ssl_c_verify 0 }"),
    refuse("revoked", revokedNow(paths)),
    `http-request deny status 403 content-type text/plain lf-string "${text}" if { var(txn.refused) -m found }`,
  ];
}

/** The list is asked anew each time; it changes at run time, in former workers too. */
function revokedNow(paths: EdgePaths): string {
  return `{ var(txn.key) -m str -f ${paths.revoked} }`;
}

function headerLines(): string[] {
  const [begin, end] = [
    "-----BEGIN%%20CERTIFICATE-----%%0A",
    "%%0A-----END%%20CERTIFICATE-----%%0A",
  ];
  return [
    "http-request del-header '(?i)^x[-_]*(client|understudy)([-_]|$)' -m reg",
    "http-request set-header X-Client-Verify NONE unless { ssl_c_used }",
    "http-request set-header X-Client-Verify SUCCESS if { ssl_c_used }",
    'http-request set-header X-Client-DN "CN=%[var(txn.certname)]" if { ssl_c_used }',
    `http-request set-header X-Client-Cert ${begin}%[ssl_c_der,base64]${end} if { ssl_c_used }`,
    "http-request set-header X-Forwarded-For %[src]",
    "http-request set-header X-Understudy-Request %[unique-id]",
    "http-request set-header X-Understudy-Arrived %[var(txn.arrived)]",
  ];
}

/** Paths of the certificate authority, and what is special about them. */
function authorityLines(): string[] {
  const large = `gt ${CA_BODY_BYTES_MAX}`;
  return [
    "acl ca path_beg /puppet-ca/",
    "acl ca path /status/v1/simple/ca /status/v1/services /status/v1/services/ca",
    "acl ca_read path_beg /puppet-ca/v1/certificate/ /puppet-ca/v1/certificate_revocation_list/",
    "acl ca_request path_beg /puppet-ca/v1/certificate_request/",
    // Of a body without a length, as much is here as fits in the buffer.
    `acl ca_large req.hdr_val(content-length) ${large}`,
    `acl ca_large req.body_len ${large}`,
    // Whoever has a certificate may name thousands: that is the authority's own to limit.
    "http-request set-var(txn.refused) str(size) if ca ca_large ca_request",
    "http-request set-var(txn.refused) str(size) if ca ca_large !{ ssl_c_used }",
    'http-request return status 413 content-type text/plain string "The request is too large.\\n" if { var(txn.refused) -m str size }',
    // What may change a certificate is not repeated, except a certificate request.
    "http-request disable-l7-retry if ca !{ method GET PUT }",
    "http-request disable-l7-retry if ca { method PUT } !ca_request",
    `http-request lua.hold signers ${CA_HOLD_MS_MAX} if { path_beg /puppet-ca/ } !ca_read { nbsrv(signers) lt 1 }`,
  ];
}

/** A catalog that killed the server of its replay too is not replayed for a while. */
function poisonLines(paths: EdgePaths): string[] {
  const left = `var(txn.certname),map(${paths.poison},0),field(1,|),add(${POISON_S}),sub(txn.now)`;
  return [
    `http-request set-var(txn.poison) "${left}" if { path_beg ${CATALOGS} }`,
    "http-request disable-l7-retry if { var(txn.poison) -m int gt 0 }",
  ];
}

const CATALOGS = "/puppet/v3/catalog/ /puppet/v4/catalog";

/**
 * The backend that keeps each request until it is answered, and repeats it when its server was
 * lost.
 */
export function replaySection(paths: EdgePaths): string {
  const second = "{ res.hdr(x-understudy-lost) -m found }";
  const catalog = `{ var(txn.certname) -m found } { var(txn.path) -m beg ${CATALOGS} }`;
  return section("backend replay", [
    // After a server may have begun, one of these at most: `again` turns its own losses into 500.
    // The others are for requests that no server has taken: each reload costs a held one another.
    "retries 30",
    "retry-on empty-response conn-failure 502 503",
    // Balancing may choose `again` only, this rule `once` only.
    "use-server once if TRUE",
    // A connection for each request: a loss on a later request of a connection is no 502 but a
    // connection closed without an answer, which `again` couldn't turn into 500.
    `server once unix@${paths.once} weight 0 pool-max-conn 0`,
    `server again unix@${paths.again} weight 1 pool-max-conn 0`,
    // Revoked while its request waited for a server or was answered: it gets nothing more.
    `http-response deny status 403 content-type text/plain string "Forbidden: this certificate was revoked meanwhile.\\n" if ${revokedNow(paths)}`,
    `http-response set-map(${paths.poison}) %[var(txn.certname)] %[var(txn.now)]|%[res.fhdr(x-understudy-lost)] if ${second} ${catalog}`,
    "http-response set-status 503 if { res.hdr(x-understudy-refused) -m found }",
    "http-response del-header x-understudy- -m beg",
  ]);
}
