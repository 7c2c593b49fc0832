// Two PuppetDBs on one lab host, each with a database of its own: for what is between PuppetDBs,
// without agents.

import { z } from "zod";
import { until } from "../../src/base/retry.ts";
import type { LabHost } from "../host.ts";
import { createDatabase, dumpDatabase, psql, restoreDatabase } from "./database.ts";

const START_MS_MAX = 400_000;
const POST_MS_MAX = 600_000;

/** One of them. `n` is in the names of everything that it has. */
export interface PairedPuppetDb {
  n: 1 | 2;
  url: string;
}

const SERVER = `
set -e
pg_lsclusters -h | grep -q main || pg_createcluster 15 main
systemctl start postgresql@15-main
`;

/** Starts both, empty; resolves when they answer. `nodeTtl` is the second one's. */
export async function startPair(host: LabHost, nodeTtl: string): Promise<PairedPuppetDb[]> {
  await host.run(["bash", "-c", SERVER], { withinMs: START_MS_MAX });
  const pair: PairedPuppetDb[] = ([1, 2] as const).map((n) => ({
    n,
    url: `http://127.0.0.1:${18080 + n}`,
  }));
  for (const { n } of pair) {
    await psql(host, `create role pdb${n} login password 'lab'`);
    await createDatabase(host, `pdb${n}`);
    await writeConfiguration(host, n, n === 2 ? nodeTtl : "7d");
  }
  await Promise.all(pair.map(async (one) => startOne(host, one)));
  return pair;
}

async function writeConfiguration(host: LabHost, n: number, nodeTtl: string): Promise<void> {
  const folder = `/srv/pdb${n}`;
  const files = {
    "config.ini": `[global]
vardir = ${folder}/var
logging-config = /etc/puppetdb/logback.xml
[puppetdb]
disable-update-checking = true
`,
    "database.ini": `[database]
subname = //127.0.0.1:5432/pdb${n}
username = pdb${n}
password = lab
node-ttl = ${nodeTtl}
`,
    "jetty.ini": `[jetty]
host = 127.0.0.1
port = ${18080 + n}
`,
  };
  for (const [name, text] of Object.entries(files)) {
    await host.writeFile(`${folder}/conf.d/${name}`, text);
  }
  await host.run(`mkdir ${folder}/var && cp /etc/puppetdb/conf.d/auth.conf ${folder}/conf.d/`);
  await host.run(`chown -R puppetdb ${folder}`);
}

/** Starts one that isn't running; resolves when it answers. */
export async function startOne(host: LabHost, { n, url }: PairedPuppetDb): Promise<void> {
  const folder = `/srv/pdb${n}`;
  const java = [
    "java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.security.egd=/dev/urandom",
    "-cp /usr/share/puppetdb/puppetdb.jar clojure.main -m puppetlabs.puppetdb.core services",
    `--config ${folder}/conf.d --bootstrap-config /etc/puppetdb/bootstrap.cfg`,
    `--restart-file ${folder}/var/restart`,
  ].join(" ");
  await host.run(`touch ${folder}/var/restart && chown puppetdb ${folder}/var/restart`);
  await host.run(`systemd-run --quiet --collect --unit=pdb${n} --uid=puppetdb ${java}`);
  const answers = async () => (await host.exec(`curl -sf ${url}/status/v1/simple`)).ok;
  await until(`PuppetDB ${n}`, answers, { withinMs: START_MS_MAX, everyMs: 1000 });
}

export async function stopOne(host: LabHost, { n }: PairedPuppetDb): Promise<void> {
  await host.run(`systemctl stop pdb${n}`);
}

/** Keeps what the database of one has in a file of the host, for restoreOne. */
export async function dumpOne(host: LabHost, { n }: PairedPuppetDb): Promise<void> {
  await dumpDatabase(host, `pdb${n}`, dumpOf(n));
}

/** Puts the database of one that is stopped back to its dump. */
export async function restoreOne(host: LabHost, { n }: PairedPuppetDb): Promise<void> {
  await restoreDatabase(host, `pdb${n}`, dumpOf(n));
}

const dumpOf = (n: number) => `/srv/pdb${n}.dump`;

/** A command as its URL's query and its body. */
export interface RawCommand {
  query: string;
  body: string;
}

/** Sends commands one after the other; throws unless each is stored. */
export async function postAll(
  host: LabHost,
  { url }: PairedPuppetDb,
  commands: readonly RawCommand[],
): Promise<void> {
  const script = `while IFS=$'\\t' read -r query body; do
  printf %s "$body" | curl -sSf --data-binary @- -H 'content-type: application/json' \\
    "${url}/pdb/cmd/v1?$query&secondsToWaitForCompletion=30" >/dev/null || exit 1
done`;
  const input = commands.map(({ query, body }) => `${query}\t${body}\n`).join("");
  await host.run(["bash", "-c", script], { input, withinMs: POST_MS_MAX });
}

const Rows = z.array(z.record(z.string(), z.unknown()));

export async function askOne(
  host: LabHost,
  { url }: PairedPuppetDb,
  path: string,
  query: unknown,
): Promise<z.infer<typeof Rows>> {
  const argv = ["curl", "-sSf", "-G", `${url}${path}`];
  const asked = [...argv, "--data-urlencode", `query=${JSON.stringify(query)}`];
  return Rows.parse(JSON.parse(await host.run(asked)));
}

/** All that one has, a line each, in order: by PuppetDB's own hashes. */
export async function contentOf(host: LabHost, one: PairedPuppetDb): Promise<string[]> {
  const any = ["=", "node_state", "any"];
  const kinds: [string, string[]][] = [
    ["catalogs", ["certname", "hash", "producer_timestamp", "transaction_uuid", "environment"]],
    ["factsets", ["certname", "hash", "producer_timestamp", "producer"]],
    ["catalog_inputs", ["certname", "producer_timestamp", "catalog_uuid", "inputs"]],
    ["reports", ["certname", "hash", "producer_timestamp", "status"]],
    ["events", ["certname", "report", "resource_title", "property", "old_value", "new_value"]],
    ["nodes", ["certname", "deactivated"]],
  ];
  const lines: string[] = [];
  for (const [entity, columns] of kinds) {
    const which = entity === "events" ? [] : [any];
    const ast = ["from", entity, ["extract", columns, ...which]];
    for (const row of await askOne(host, one, "/pdb/query/v4", ast)) {
      lines.push(`${entity} ${columns.map((name) => JSON.stringify(row[name])).join(" ")}`);
    }
  }
  return lines.toSorted();
}
