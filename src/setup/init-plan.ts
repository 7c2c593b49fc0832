// What init would do on this server, in lines for --dry-run. Pure: the facts of preflight in, text
// out, so that it says what is so here and not what is so in general.

import { PATHS, PORTS, UNITS } from "../host/paths.ts";
import type { PreflightFacts } from "./facts.ts";
import { otherNames, staysAsItIs } from "./host-certificate.ts";
import { DRAIN_MS_MAX } from "./make-way.ts";

/** What init was asked for. */
export interface InitOptions {
  sharedName: string;
  /** Further names that agents call the servers by. */
  altNames: string[];
  virtualIps: string[];
  acceptProxyFrom: string[];
  isolatedEdge: "serve" | "refuse";
  address: string;
}

/** The steps of init as they would go here, numbered. */
export function describeInit(id: string, options: InitOptions, facts: PreflightFacts): string[] {
  const acts = [
    `make this cluster's own CAs (etcd, edge, control) and this server's certificates of them, below ${PATHS.state}/pki`,
    `enable and start etcd as ${UNITS.etcd}, ports ${PORTS.etcdClient} and ${PORTS.etcdPeer} of ${options.address}`,
    ...describeStop(facts),
    ...describeAuthority(id, facts),
    ...describeFiles(facts),
    `enable and start the daemon as ${UNITS.daemon}`,
    describeCertificate(id, options, facts),
    ...describeEdge(options),
    `enable and start puppetserver, on port ${PORTS.puppetserver}: half a minute and more`,
    ...options.virtualIps.map((vip) => `hold ${vip} (keepalived as ${UNITS.vip})`),
  ];
  const lines = acts.flatMap((act, index) => {
    const [first = "", ...more] = act.split("\n");
    return [`${String(index + 1).padStart(3)}. ${first}`, ...more.map((line) => `     ${line}`)];
  });
  return ["It would, in this order:", ...lines, "Nothing was changed."];
}

function describeStop({ configuration }: PreflightFacts): string[] {
  if (configuration === undefined || "problem" in configuration) return [];
  if (!configuration.runs || configuration.writes.length === 0) return [];
  return [
    `stop puppetserver, once the requests of agents that it has are answered: ${DRAIN_MS_MAX / 1000} s at most\n` +
      "new connections wait meanwhile, in the kernel and then at the edge, until it has started again",
  ];
}

function describeAuthority(id: string, { caDirectory }: PreflightFacts): string[] {
  const { path } = caDirectory;
  if ("problem" in caDirectory) return [];
  if (caDirectory.state === "absent")
    return [`make a new Puppet CA, "Puppet CA: ${id}", in ${path}`];
  return [
    `keep the Puppet CA in ${path}, and read it into the record\n` +
      "its keys become readable by their owner alone (mode 0600)",
  ];
}

function describeFiles({ configuration }: PreflightFacts): string[] {
  if (configuration === undefined || "problem" in configuration) return [];
  const { writes } = configuration;
  if (writes.length === 0) return [];
  const lines = writes.map(({ path, because }) => `${path}: ${because}`);
  return [["edit, keeping each file as it was as FILE.before-understudy:", ...lines].join("\n")];
}

function describeCertificate(id: string, options: InitOptions, facts: PreflightFacts): string {
  const found = facts.hostCertificate;
  const names = { id, sharedName: options.sharedName };
  // One of another CA is replaced, whether or not there is a CA here yet.
  if (found?.ours === true && staysAsItIs(found, [options.sharedName, ...options.altNames]))
    return `keep this server's certificate, ${found?.path ?? ""}`;
  const all = [options.sharedName, ...otherNames(found, names, options.altNames), id].join(", ");
  const kept = found === undefined ? "" : `; the former stays as ${found.path}.before-understudy`;
  return `have a certificate signed for this server, named ${all}${kept}`;
}

function describeEdge({ acceptProxyFrom }: InitOptions): string[] {
  const proxy =
    acceptProxyFrom.length === 0
      ? ""
      : `\nit takes the PROXY protocol from ${acceptProxyFrom.join(", ")}, and from nobody else`;
  return [
    `enable and start HAProxy as ${UNITS.edge} on port ${PORTS.edge}: agents' requests wait there${proxy}`,
  ];
}
