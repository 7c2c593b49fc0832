// How long a revoked certificate still gets in anywhere when the CRL has 50,000 entries, and what
// two thousand single revocations do to etcd.

import { z } from "zod";
import { Fault } from "../../src/base/fault.ts";
import { leafFiles } from "../../src/cluster/pki-store.ts";
import { PORTS } from "../../src/host/paths.ts";
import type { LabHost } from "../../lab/host.ts";
import { type Figure, figure } from "../figure.ts";
import { filled, type Group, type Seen } from "../group.ts";
import { median, worst } from "../stats.ts";
import { fleetName, signedFile } from "./directory.ts";
import { runProgram } from "../program.ts";
import { parseRevoked, type RevokeLoad, type Revoked } from "./revoke-plan.ts";
import type { CaSite } from "./site.ts";

const ONE_MS_MAX = 60_000;
const MEGABYTE = 1_000_000;

/** One at a time, watched at every edge. */
export function revocation(): Group<CaSite> {
  const seen: Seen<Revoked[]> = {};
  return {
    name: "revocation",
    about: "one revocation with 50,000 in the CRL, until every edge refuses",
    trials: { full: 20, quick: 3, baseline: 5 },
    measure: async (site, { trials, say }) => {
      const revoked = await revoke(site, names(1, trials), true);
      seen[site.kind] = revoked;
      for (const { certname, answeredMs, refusedMs } of revoked) {
        const [answered, refused] = [answeredMs.toFixed(0), refusedMs.toFixed(0)];
        say(`${site.kind}: ${certname}: answered ${answered} ms, refused ${refused} ms`);
      }
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => {
      const ours = filled(seen.understudy);
      return ours === undefined ? [] : toFigures(ours, filled(seen.baseline));
    },
    raw: () => seen,
  };
}

interface Burst {
  revoked: Revoked[];
  before: Database;
  after: Database;
}

/** Two thousand, one after the other, each with a CRL of its own. A trial is one of them. */
export function revocations(): Group<CaSite> {
  let seen: Burst | undefined;
  return {
    name: "revocations",
    about: "2,000 single revocations at that size: how etcd grows",
    trials: { full: 2000, quick: 50, baseline: 0 },
    measure: async (site, { trials, say }) => {
      const [server] = site.servers;
      if (server === undefined) return;
      const before = await readDatabase(server);
      const revoked = await revoke(site, names(1, trials), false);
      seen = { revoked, before, after: await readDatabase(server) };
      say(`${site.kind}: etcd from ${before.bytes} to ${seen.after.bytes} bytes`);
    },
    made: () => seen?.revoked.length ?? 0,
    figures: () => (seen === undefined ? [] : toGrowth(seen)),
    raw: () => seen,
  };
}

function names(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => fleetName(from + index));
}

async function revoke(site: CaSite, certnames: string[], watched: boolean): Promise<Revoked[]> {
  const [via] = site.doors;
  const [server] = site.servers;
  const { fleet, ca, admin } = site;
  if (via === undefined || server === undefined || fleet === undefined) return [];
  const revoke: RevokeLoad["revoke"] = [];
  for (const certname of certnames) {
    if (!watched) revoke.push({ certname });
    else {
      const certificate = await server.readFile(signedFile(certname));
      revoke.push({ certname, identity: { certificate, key: fleet.key } });
    }
  }
  const fresh = site.kind === "baseline";
  const doors = watched ? [...site.doors] : [];
  const load: RevokeLoad = { via, watched: doors, fresh, ca, admin, revoke };
  const withinMs = ONE_MS_MAX + certnames.length * (watched ? ONE_MS_MAX : 1000);
  return parseRevoked(
    await runProgram(site, new URL("./revoke-program.ts", import.meta.url), load, withinMs),
  );
}

/** What etcd says of its database. */
interface Database {
  /** The file's size, and how much of it is in use. */
  bytes: number;
  bytesInUse: number;
  alarms: string;
}

const Statuses = z.array(
  z.object({ Status: z.object({ dbSize: z.number(), dbSizeInUse: z.number() }) }),
);

async function readDatabase(server: LabHost): Promise<Database> {
  const { ca, certificate, key } = leafFiles("etcd");
  const etcdctl = (command: string) =>
    server.run(
      `ETCDCTL_API=3 etcdctl ${command} --cacert ${ca} --cert ${certificate} --key ${key} ` +
        `--endpoints https://${server.address}:${PORTS.etcdClient}`,
    );
  const [status] = Statuses.parse(JSON.parse(await etcdctl("endpoint status -w json")));
  if (status === undefined) throw new Fault("bench.load-failed", "etcd tells no status");
  const { dbSize: bytes, dbSizeInUse: bytesInUse } = status.Status;
  return { bytes, bytesInUse, alarms: (await etcdctl("alarm list")).trim() };
}

function toFigures(ours: readonly Revoked[], theirs: readonly Revoked[] | undefined): Figure[] {
  const refused = ours.map(({ refusedMs }) => refusedMs / 1000);
  const answered = ours.map(({ answeredMs }) => answeredMs / 1000);
  const stock = (pick: (one: Revoked) => number) => theirs && median(theirs.map(pick)) / 1000;
  const written = stock(({ answeredMs }) => answeredMs);
  const name = "revocation with 50,000 in the CRL";
  return [
    figure(
      `${name}: every edge refuses (baseline: its own file is written), median`,
      median(refused),
      "s",
      {
        baseline: written,
        goal: { under: 0.5 },
      },
    ),
    figure(
      `${name}: every edge refuses (baseline: its listener does), worst`,
      worst(refused),
      "s",
      {
        baseline: theirs && worst(theirs.map(({ refusedMs }) => refusedMs)) / 1000,
      },
    ),
    figure(`${name}: answered, median`, median(answered), "s", { baseline: written }),
  ];
}

function toGrowth({ revoked, before, after }: Burst): Figure[] {
  const name = `${revoked.length} single revocations with 50,000 in the CRL`;
  const growth = (after.bytes - before.bytes) / MEGABYTE;
  const alarms = after.alarms === "" ? 0 : after.alarms.split("\n").length;
  return [
    figure(`${name}: one, median`, median(revoked.map(({ answeredMs }) => answeredMs)), "ms"),
    figure(`${name}: etcd's file before`, before.bytes / MEGABYTE, "MB"),
    figure(`${name}: etcd's file after`, after.bytes / MEGABYTE, "MB"),
    figure(`${name}: etcd grew by`, growth, "MB"),
    figure(`${name}: alarms of etcd`, alarms, "", { goal: { atMost: 0 } }),
  ];
}
