// PuppetDB with PostgreSQL on lab servers, and what it has: for comparing two of them.

import { z } from "zod";
import { until } from "../../src/base/retry.ts";
import type { LabHost } from "../host.ts";

const START_MS_MAX = 400_000;
const SAME_MS_MAX = 240_000;

/** As Debian's administrator does by hand without dbconfig. */
const DATABASE = `
set -e
pg_lsclusters -h | grep -q main || pg_createcluster 15 main
systemctl enable --now postgresql
cd /
runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 <<'SQL'
create role puppetdb login password 'lab';
create database puppetdb owner puppetdb encoding 'UTF8' template template0;
\\c puppetdb
create extension pg_trgm;
SQL
`;

const DATABASE_INI = `[database]
subname = //127.0.0.1:5432/puppetdb
username = puppetdb
password = lab
`;

/** Starts a PuppetDB with a database of its own; resolves when it answers. */
export async function startPuppetdb(host: LabHost): Promise<void> {
  await host.run(["bash", "-c", DATABASE], { withinMs: START_MS_MAX });
  const options = { mode: 0o640, owner: "root:puppetdb" };
  await host.writeFile("/etc/puppetdb/conf.d/database.ini", DATABASE_INI, options);
  await host.run("systemctl enable --now puppetdb", { withinMs: START_MS_MAX });
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

/** Waits until these PuppetDBs have the same since `fromMs`; returns that. Fault `base.deadline`. */
export async function untilSame(hosts: readonly LabHost[], fromMs: number): Promise<string[]> {
  const same = async () => {
    const [first = [], ...others] = await Promise.all(
      hosts.map(async (host) => contentOf(host, fromMs)),
    );
    return others.every((each) => each.join() === first.join()) ? first : undefined;
  };
  return until("the PuppetDBs have the same", same, { withinMs: SAME_MS_MAX, everyMs: 1000 });
}
