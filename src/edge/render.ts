// HAProxy's configuration of one edge, as text. Complete on its own: HAProxy started with these
// files serves agents without daemon, etcd or any other process of ours. The idea: two tiers. The
// outer one terminates TLS, establishes who asks, and keeps the whole request; its only servers are
// the inner frontends `once` and `again` of the same HAProxy. A request whose server dies comes
// back through `again`, so "is a replay" is a property of where it arrives.

import { createHash } from "node:crypto";
import { type EdgeConfig, type EdgePaths, edgePaths, REPLAY_BYTES_MAX } from "./config.ts";
import { connectionsMax, REWRITE_BYTES } from "./config.ts";
import { renderLua } from "./lua.ts";
import { agentsSection, replaySection, sourceSections } from "./render-outer.ts";
import { authoritySections, innerSections, puppetserverSections } from "./render-inner.ts";
import { ownedBy, section } from "./text.ts";

/**
 * Every file that a config determines. revoked.acl and poison.map live longer and are not among
 * them.
 */
export interface EdgeFiles {
  haproxyCfg: string;
  waitLua: string;
  /** Digest of all that takes a reload to change; HAProxy tells the one it runs with. */
  structure: string;
}

/** Renders HAProxy's configuration and its Lua. Equal configs give equal text. */
export function renderEdge(config: EdgeConfig): EdgeFiles {
  const waitLua = renderLua(edgePaths(config).stats);
  const structure = digest([renderText(plain(config), ""), waitLua, config.inputsDigest ?? ""]);
  return { haproxyCfg: renderText(config, structure), waitLua, structure };
}

/** `config` without what can be changed at run time. */
function plain(config: EdgeConfig): EdgeConfig {
  const backends = config.backends.map((backend) => ({ ...backend, jrubies: 1 }));
  return { ...config, backends };
}

function digest(parts: string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

function renderText(config: EdgeConfig, structure: string): string {
  const paths = edgePaths(config);
  const sections = [
    globalSection(config, paths, structure),
    defaultsSection(config),
    agentsSection(config, paths),
    replaySection(paths),
    ...sourceSections(),
    ...innerSections(config, paths),
    ...puppetserverSections(config),
    ...authoritySections(config),
  ];
  return `# Rendered by Understudy; changes are overwritten.\n\n${sections.join("\n\n")}\n`;
}

function globalSection(config: EdgeConfig, paths: EdgePaths, structure: string): string {
  return section("global", [
    `description "${structure}"`,
    // The upper limit keeps HAProxy's "emergency" off every terminal of the server.
    "log stdout len 4096 format short daemon info err",
    // Owned by the workers' user: a former worker asks the current one through it.
    `stats socket ${paths.stats} mode 600${ownedBy(config)} level admin`,
    config.runAs !== undefined && `user ${config.runAs.user}`,
    config.runAs !== undefined && `group ${config.runAs.group}`,
    // Every agent's request passes an inner frontend as well.
    `maxconn ${connectionsMax(config.memoryMiB) * 3 + 100}`,
    // A former worker may hold a request as long as an agent waits.
    "hard-stop-after 11m",
    `tune.bufsize ${REPLAY_BYTES_MAX}`,
    `tune.maxrewrite ${REWRITE_BYTES}`,
    // A resumed session would skip the verification of the certificate.
    "tune.ssl.cachesize 0",
    "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
    // HAProxy's own HTTP client is used by nothing here, and would read every certificate authority
    // of the system at each start and reload: three quarters of what such a start takes.
    "httpclient.ssl.verify none",
    `lua-load ${paths.lua}`,
  ]);
}

const LOG_FORMAT = [
  "id=%[var(txn.id)] from=%ci certname=%[var(txn.certname)] method=%HM path=%[var(txn.path)]",
  "status=%ST bytes=%B tier=%f server=%b/%s retries=%rc replay=%[var(txn.replay)]",
  "lost=%[var(txn.lost)] refused=%[var(txn.refused)] queue=%sq/%bq ms=%TR/%Tw/%Tc/%Tr/%Ta end=%tsc",
].join(" ");

function defaultsSection(config: EdgeConfig): string {
  return section("defaults", [
    "mode http",
    `log-format "${LOG_FORMAT}"`,
    // Failures, replays and refusals; a line per request would be hundreds a second in a large
    // fleet.
    config.logEverything !== true && "option dontlog-normal",
    "option dontlognull",
    // The place in the queue of an agent that has gone is given to another.
    "option abortonclose",
    "option redispatch 1",
    "timeout connect 2s",
    // Above the 600 s that agents wait for an answer.
    "timeout client 15m",
    "timeout server 15m",
    "timeout queue 9m",
    "timeout http-request 60s",
    "timeout http-keep-alive 30s",
    "timeout check 2s",
    // Never Retry-After: agents of Puppet 7 die of it.
    ...[
      [502, "The server was lost while it worked on this request."],
      [503, "No server can take this request."],
      [504, "The server did not answer in time."],
    ].map(
      ([status, text]) => `http-error status ${status} content-type text/plain string "${text}\\n"`,
    ),
  ]);
}
