// Databases of PostgreSQL on a lab host as its administrator handles them. Each belongs to a role
// of its own name.

import type { LabHost } from "../host.ts";

const LONG_MS_MAX = 120_000;
/** Whatever locale the server was made with. */
const UTF8 = "encoding 'UTF8' template template0";

/** Makes an empty one for PuppetDB; the role is there. */
export async function createDatabase(host: LabHost, name: string): Promise<void> {
  await psql(host, `create database ${name} owner ${name} ${UTF8}`);
  await psql(host, "create extension pg_trgm", name);
}

/** Has nothing of it any more, but for the empty database. Nobody may be connected. */
export async function wipeDatabase(host: LabHost, name: string): Promise<void> {
  await psql(host, `drop database ${name}`);
  await createDatabase(host, name);
}

/** Keeps what it has in a file of the host, for restoreDatabase. */
export async function dumpDatabase(host: LabHost, name: string, file: string): Promise<void> {
  await asPostgres(host, `pg_dump -Fc ${name} > ${file}`);
}

/** Puts it back to what it was. Nobody may be connected. */
export async function restoreDatabase(host: LabHost, name: string, file: string): Promise<void> {
  await psql(host, `drop database ${name}`);
  await psql(host, `create database ${name} owner ${name} ${UTF8}`);
  await asPostgres(host, `pg_restore -d ${name} < ${file}`);
}

/** Runs one statement as PostgreSQL's administrator. */
export async function psql(host: LabHost, statement: string, database = "postgres"): Promise<void> {
  await asPostgres(host, `psql -q -v ON_ERROR_STOP=1 -c "${statement}" ${database}`);
}

async function asPostgres(host: LabHost, command: string): Promise<void> {
  const script = `cd / && runuser -u postgres -- ${command}`;
  await host.run(["bash", "-c", script], { withinMs: LONG_MS_MAX });
}
