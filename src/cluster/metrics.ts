// What a member says of itself as metrics, in Prometheus's text format. Pure. Every label has few
// values: members, PuppetDBs, receivers, addresses; never agents.

import { judgeDisk } from "./disk-status.ts";
import type { LocalStatus } from "./status.ts";

type Labels = Record<string, string>;

interface Metric {
  name: string;
  type: "gauge" | "counter";
  help: string;
  values: (status: LocalStatus) => [Labels, number][];
}

const one = (value: number | boolean | undefined): [Labels, number][] =>
  value === undefined ? [] : [[{}, Number(value)]];
const gauge = (name: string, help: string, values: Metric["values"]): Metric => ({
  name: `understudy_${name}`,
  type: "gauge",
  help,
  values,
});
const seconds = (ms: number) => ms / 1000;
const backends = (status: LocalStatus) => status.edge?.backends ?? [];
const disks = (status: LocalStatus) => status.disks ?? [];
const puppetdbs = (status: LocalStatus) => status.courier?.puppetdbs ?? [];
const lastSync = (status: LocalStatus) => status.courier?.sync?.last;
const receivers = (status: LocalStatus) => status.courier?.receivers ?? [];

/** Every metric, in the order in which they are written. */
export const METRICS: readonly Metric[] = [
  gauge("info", "Always 1; which version runs here, and as what.", ({ version, role, phase }) => [
    [{ version, role, phase }, 1],
  ]),
  gauge("warnings", "What this member alone knows and is to be looked at.", (s) =>
    one(s.warnings.length),
  ),
  gauge("record_reachable", "1 while the cluster's record in etcd answers.", (s) =>
    one(s.record.reachable),
  ),
  gauge("view_age_seconds", "How old this member's view of the cluster is.", (s) =>
    one(seconds(s.record.ageMs)),
  ),
  gauge("clock_offset_seconds", "How far this clock is off most members'.", ({ clock }) =>
    one(clock?.offsetMs === undefined ? undefined : seconds(clock.offsetMs)),
  ),
  gauge("clock_difference_seconds", "How far this clock is off that member's.", ({ clock }) =>
    (clock?.others ?? []).map(({ id, offsetMs }) => [{ member: id }, seconds(offsetMs)]),
  ),
  gauge("disk_free_bytes", "What may still be written where that folder lies.", (s) =>
    disks(s).map(({ folder, freeBytes }) => [{ folder }, freeBytes]),
  ),
  gauge("disk_size_bytes", "Size of the file system where that folder lies.", (s) =>
    disks(s).map(({ folder, sizeBytes }) => [{ folder }, sizeBytes]),
  ),
  gauge("disk_nearly_full", "1 where that has little room left, or few inodes.", (s) =>
    disks(s).map((disk) => [{ folder: disk.folder }, Number(judgeDisk(disk) !== "")]),
  ),
  gauge("history_waiting_entries", "What this member has yet to tell in the record.", (s) =>
    one(s.history?.waiting),
  ),
  gauge("etcd_voter", "1 where etcd votes here.", ({ etcd }) =>
    one(etcd.runs === "leader" || etcd.runs === "voter"),
  ),
  gauge("etcd_has_leader", "1 while etcd here knows a leader.", ({ etcd }) =>
    one(etcd.runs === "no" ? undefined : etcd.hasLeader),
  ),
  gauge("etcd_alarms", "Alarms of etcd; with one it takes no changes.", (s) =>
    one(s.etcd.alarms.length),
  ),
  gauge("etcd_database_bytes", "Size of etcd's database.", (s) => one(s.etcd.dbSizeBytes)),
  gauge("address_held", "1 for each virtual address that is here now.", ({ addresses }) =>
    addresses.map((address) => [{ address }, 1]),
  ),
  gauge("drained", "1 while an administrator keeps agents' work from this member.", (s) =>
    one(s.drained),
  ),
  gauge("paused", "1 for each scope in which Understudy is told to leave this member alone.", (s) =>
    (s.paused ?? []).map((scope) => [{ scope }, 1]),
  ),
  gauge("edge_up", "1 while HAProxy takes agents here.", ({ edge }) => one(edge?.active)),
  gauge("edge_waiting_requests", "Requests that wait for a puppetserver.", (s) =>
    one(s.edge?.waiting),
  ),
  gauge("edge_load", "Requests in work or waiting here, mean of this half hour.", (s) =>
    one(s.edge?.load?.now),
  ),
  {
    name: "understudy_edge_replays_total",
    type: "counter",
    help: "Requests sent on to another puppetserver since the daemon started.",
    values: ({ edge }) => one(edge?.replays),
  },
  gauge("edge_crl_number", "Revocations up to this CRL number are refused here.", ({ edge }) =>
    one(edge?.confirmedCrl),
  ),
  gauge("edge_poisonous_nodes", "Nodes whose catalogs ended a puppetserver twice.", ({ edge }) =>
    one(edge?.poisonous.length),
  ),
  gauge("edge_connections", "Agents' connections to HAProxy's current worker.", (s) =>
    one(s.edge?.connections),
  ),
  gauge("puppetserver_up", "1 where this edge sends requests to it.", (s) =>
    backends(s).map(({ name, state }) => [{ puppetserver: name }, Number(state === "up")]),
  ),
  gauge("puppetserver_drained", "1 where this edge asks it only when no other is up.", (s) =>
    backends(s).map(({ name, state }) => [{ puppetserver: name }, Number(state === "drained")]),
  ),
  gauge("puppetserver_busy_requests", "Requests of this edge that it works on.", (s) =>
    backends(s).map(({ name, busy }) => [{ puppetserver: name }, busy]),
  ),
  gauge("puppetserver_queued_requests", "Requests of this edge that wait for it.", (s) =>
    backends(s).map(({ name, queued }) => [{ puppetserver: name }, queued]),
  ),
  {
    name: "understudy_puppetserver_requests_total",
    type: "counter",
    help: "Requests of this edge that it was given since the daemon started.",
    values: (s) => backends(s).map(({ name, total }) => [{ puppetserver: name }, total]),
  },
  gauge("puppetserver_response_seconds", "Its time to answer, mean of 1024 requests.", (s) =>
    backends(s).map(({ name, responseMs }) => [{ puppetserver: name }, seconds(responseMs)]),
  ),
  gauge("puppetserver_jrubies", "How many requests it can work on at once.", (s) =>
    backends(s).map(({ name, jrubies }) => [{ puppetserver: name }, jrubies]),
  ),
  gauge("ca_serving", "1 while the certificate authority here signs.", ({ ca }) =>
    one(ca?.serving),
  ),
  gauge("ca_pending_requests", "Certificate requests that wait to be signed.", ({ ca }) =>
    one(ca?.requests),
  ),
  gauge("ca_certificates", "Certificates that are in force.", ({ ca }) => one(ca?.certificates)),
  gauge("ca_crl_number", "Number of the newest CRL that is known here.", (s) =>
    one(s.ca?.crlNumber),
  ),
  gauge("ca_directory_behind", "1 while the CA directory lacks something of the record.", (s) =>
    one(s.ca && s.ca.directoryBehind !== ""),
  ),
  gauge("probe_up", "1 while the synthetic agent here gets catalogs; absent: it isn't set.", (s) =>
    one(s.probe && s.probe.at !== "" ? s.probe.ok : undefined),
  ),
  gauge("probe_seconds", "How long its last catalog took.", (s) =>
    one(s.probe && s.probe.ok && s.probe.at !== "" ? seconds(s.probe.ms) : undefined),
  ),
  {
    name: "understudy_probe_catalogs_total",
    type: "counter",
    help: "Catalogs that it asked for since the daemon started, or since it was set.",
    values: ({ probe }) =>
      probe === undefined
        ? []
        : [
            [{ outcome: "got" }, probe.total - probe.failed],
            [{ outcome: "failed" }, probe.failed],
          ],
  },
  gauge("api_up", "1 while the API for people listens here; absent: it is off.", ({ api }) =>
    one(api?.settings && api.url !== ""),
  ),
  {
    name: "understudy_api_refused_total",
    type: "counter",
    help: "Sign-ins with a token that is no good, since the daemon's start.",
    values: ({ api }) => one(api?.refused),
  },
  gauge("expiry_timestamp_seconds", "When it ends, in seconds since the epoch.", (s) =>
    s.expiries.map(({ kind, what, to }) => [{ kind, what }, seconds(Date.parse(to))]),
  ),
  gauge("courier_up", "1 while the courier here answers.", ({ courier }) => one(courier?.runs)),
  gauge("courier_single_copies", "Commands that no other courier has a copy of.", (s) =>
    one(s.courier?.singleCopies),
  ),
  gauge("courier_spool_bytes", "What commands take of the disk here.", (s) =>
    one(s.courier?.spoolBytes),
  ),
  gauge("puppetdb_fit", "1 where it may answer queries, as the courier here finds.", (s) =>
    puppetdbs(s).map(({ id, fit }) => [{ puppetdb: id }, Number(fit)]),
  ),
  gauge("puppetdb_used", "1 for the PuppetDB that the courier here sends queries to.", (s) =>
    puppetdbs(s).map(({ id }) => [{ puppetdb: id }, Number(id === s.courier?.queries)]),
  ),
  gauge("puppetdb_waiting_commands", "Commands here that it doesn't have yet.", (s) =>
    puppetdbs(s).map(({ id, commands }) => [{ puppetdb: id }, commands]),
  ),
  gauge("puppetdb_oldest_command_seconds", "How long the oldest of them has waited.", (s) =>
    puppetdbs(s).map(({ id, oldestMs }) => [{ puppetdb: id }, seconds(oldestMs)]),
  ),
  gauge("puppetdb_dead_letters", "Commands that it refused for good.", (s) =>
    puppetdbs(s).map(({ id, deadLetters }) => [{ puppetdb: id }, deadLetters]),
  ),
  gauge("puppetdb_level", "1 where this server's PuppetDB lacks no node of the others'.", (s) =>
    one(s.courier?.sync && s.courier.sync.standing === "level"),
  ),
  gauge("puppetdb_sync_timestamp_seconds", "When its last sync ended, since the epoch.", (s) =>
    one(lastSync(s) && seconds(Date.parse(lastSync(s)?.endedAt ?? ""))),
  ),
  gauge("puppetdb_sync_whole", "1 where that compared and brought everything.", (s) =>
    one(lastSync(s)?.ok),
  ),
  gauge("puppetdb_sync_moved", "What that brought, by kind.", (s) =>
    Object.entries(lastSync(s)?.moved ?? {}).map(([kind, count]) => [{ kind }, count]),
  ),
  gauge("receiver_up", "1 where a receiver of reports took the last one.", (s) =>
    receivers(s).map(({ name, because }) => [{ receiver: name }, Number(because === "")]),
  ),
  gauge("receiver_waiting_reports", "Reports here that it doesn't have yet.", (s) =>
    receivers(s).map(({ name, reports }) => [{ receiver: name }, reports]),
  ),
  gauge("receiver_oldest_report_seconds", "How long the oldest of them has waited.", (s) =>
    receivers(s).map(({ name, oldestMs }) => [{ receiver: name }, seconds(oldestMs)]),
  ),
  gauge("receiver_dead_letters", "Reports that it refused for good.", (s) =>
    receivers(s).map(({ name, deadLetters }) => [{ receiver: name }, deadLetters]),
  ),
];

/** The text; a metric that has no value here is left out. */
export function renderMetrics(status: LocalStatus): string {
  const blocks = METRICS.flatMap(({ name, type, help, values }) => {
    const lines = values(status).map(
      ([labels, value]) => `${name}${renderLabels(labels)} ${value}`,
    );
    // The same labels twice would spoil the whole answer.
    const unique = [...new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), line]))];
    if (unique.length === 0) return [];
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...unique.map(([, line]) => line)];
  });
  return `${blocks.join("\n")}\n`;
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escape(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
