// PuppetDB with PostgreSQL on lab servers, and what it has: for comparing two of them.

import { z } from "zod";
import { Fault, isFault } from "../../src/base/fault.ts";
import { until } from "../../src/base/retry.ts";
import type { LabHost } from "../host.ts";
import { createDatabase, psql } from "./database.ts";

const START_MS_MAX = 400_000;
const SAME_MS_MAX = 240_000;

/** PuppetDB's, wherever it is installed. */
export const DATABASE = "puppetdb";

const SERVER = `
set -e
pg_lsclusters -h | grep -q main || pg_createcluster 15 main
systemctl enable --now postgresql
`;

const DATABASE_INI = `[database]
subname = //127.0.0.1:5432/puppetdb
username = puppetdb
password = lab
`;

/** Starts a PuppetDB with a database of its own; resolves when it answers. */
export async function startPuppetdb(host: LabHost): Promise<void> {
  await host.run(["bash", "-c", SERVER], { withinMs: START_MS_MAX });
  await makeDatabase(host);
  await writeDatabaseIni(host, DATABASE_INI);
  await host.run("systemctl enable --now puppetdb", { withinMs: START_MS_MAX });
}

/** As an administrator lets the other servers in, and a standby follow. */
const PRIMARY = `
set -e
conf=/etc/postgresql/15/main
echo "listen_addresses = '*'" >> $conf/conf.d/lab.conf
echo "host all,replication all samenet scram-sha-256" >> $conf/pg_hba.conf
systemctl restart postgresql@15-main
cd /
runuser -u postgres -- psql -q -c "create role follower replication login password 'lab'"
`;
const STANDBY = (primary: string) => `
set -e
pg_lsclusters -h | grep -q main || pg_createcluster 15 main
systemctl stop postgresql@15-main
conf=/etc/postgresql/15/main
echo "listen_addresses = '*'" >> $conf/conf.d/lab.conf
echo "host all,replication all samenet scram-sha-256" >> $conf/pg_hba.conf
rm -rf /var/lib/postgresql/15/main
cd /
PGPASSWORD=lab runuser -u postgres -- pg_basebackup -h ${primary} -U follower -D /var/lib/postgresql/15/main -R
systemctl enable --now postgresql postgresql@15-main
`;

/**
 * A database on `primary` that `standby` follows, and on both a PuppetDB that uses whichever is the
 * primary; resolves when both answer. The standby confirms what is committed.
 */
export async function startSharedPuppetdbs(primary: LabHost, standby: LabHost): Promise<void> {
  const bash = async (host: LabHost, script: string) =>
    host.run(["bash", "-c", script], { withinMs: START_MS_MAX });
  await bash(primary, SERVER);
  await makeDatabase(primary);
  await bash(primary, PRIMARY);
  await bash(standby, STANDBY(primary.address));
  await bash(
    primary,
    `cd / && runuser -u postgres -- psql -q -c "alter system set synchronous_standby_names = '*'" -c "select pg_reload_conf()"`,
  );
  const hosts = [primary, standby].map(({ address }) => `${address}:5432`).join(",");
  const where = `//${hosts}/puppetdb?targetServerType=primary&connectTimeout=3&socketTimeout=30`;
  for (const host of [primary, standby]) {
    const ini = DATABASE_INI.replace("//127.0.0.1:5432/puppetdb", where);
    await writeDatabaseIni(host, host === primary ? ini : `${ini}migrate = false\n`);
    await host.run("systemctl enable --now puppetdb", { withinMs: START_MS_MAX });
  }
}

/** The primary is gone; `standby` becomes it, as a failover manager would have it within seconds. */
export async function promote(standby: LabHost): Promise<void> {
  await standby.run([
    "bash",
    "-c",
    `cd / && runuser -u postgres -- psql -q -c "alter system reset synchronous_standby_names" && pg_ctlcluster 15 main promote`,
  ]);
}

/** As Debian's administrator does by hand without dbconfig. */
async function makeDatabase(host: LabHost): Promise<void> {
  await psql(host, "create role puppetdb login password 'lab'");
  await createDatabase(host, DATABASE);
}

async function writeDatabaseIni(host: LabHost, ini: string): Promise<void> {
  const options = { mode: 0o640, owner: "root:puppetdb" };
  await host.writeFile("/etc/puppetdb/conf.d/database.ini", ini, options);
}

const Rows = z.array(z.record(z.string(), z.unknown()));

/** Asks the PuppetDB of `host` itself, past every courier. */
export async function queryPuppetdb(host: LabHost, query: unknown): Promise<z.infer<typeof Rows>> {
  const url = "http://127.0.0.1:8080/pdb/query/v4";
  const argv = ["curl", "-sSf", "-G", url, "--data-urlencode", `query=${JSON.stringify(query)}`];
  return Rows.parse(JSON.parse(await host.run(argv)));
}

/** Every catalog, factset and report since `fromMs` that a PuppetDB has, one a line, in order. */
async function contentOf(host: LabHost, fromMs: number): Promise<string[]> {
  const kinds = ["catalogs", "factsets", "reports"].map(async (kind) => {
    const columns = ["certname", "hash", "producer_timestamp"];
    const since = [">=", "producer_timestamp", new Date(fromMs).toISOString()];
    const rows = await queryPuppetdb(host, ["from", kind, ["extract", columns, since]]);
    return rows.map((row) => `${kind} ${columns.map((name) => String(row[name])).join(" ")}`);
  });
  return (await Promise.all(kinds)).flat().toSorted();
}

/**
 * Waits until these PuppetDBs have the same since `fromMs`; returns that. Fault
 * `lab.puppetdb-differ` with what not all of them have.
 */
export async function untilSame(hosts: readonly LabHost[], fromMs: number): Promise<string[]> {
  const seen = new Map<string, string[]>();
  const same = async () => {
    const contents = hosts.map(async (host) => seen.set(host.name, await contentOf(host, fromMs)));
    await Promise.all(contents);
    const [first = [], ...others] = seen.values();
    return others.every((each) => each.join() === first.join()) ? first : undefined;
  };
  try {
    return await until("the PuppetDBs", same, { withinMs: SAME_MS_MAX, everyMs: 1000 });
  } catch (error) {
    if (!isFault(error, "base.deadline")) throw error;
    const [first = [], ...others] = seen.values();
    const common = first.filter((line) => others.every((each) => each.includes(line)));
    const lines = [...seen].flatMap(([name, content]) =>
      content.filter((line) => !common.includes(line)).map((line) => `${name} alone: ${line}`),
    );
    throw new Fault("lab.puppetdb-differ", `the PuppetDBs differ:\n${lines.join("\n")}`);
  }
}
