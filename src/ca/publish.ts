// Brings what the record says to this server's CA directory and to its memory of the newest CRL.
// Danger: the CRL is published only when its hash is the record's; until then the old one stays.

import { dirname } from "node:path";
import { Fault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { wallMs } from "../host/clock.ts";
import { exists } from "../host/files.ts";
import { crlOf, verifyHead } from "./crl-head.ts";
import { rebuildCrl, type PublishedCrl } from "./crl.ts";
import type { CaDirectory } from "./directory.ts";
import { inventoryLine, requestJob, signedJob, type DirectoryJob } from "./directory-jobs.ts";
import type { InventoryLine } from "./inventory.ts";
import type { Mirror, Touched } from "./mirror.ts";
import type { Store } from "./store.ts";

export interface Publisher {
  /** Publishes what was touched; true when it is on disk, false when the directory lags. */
  publish(touched: Touched): Promise<boolean>;
  /** Publishes the newest CRL if it isn't yet, or `again`; true when it is on disk. */
  publishCrl(again?: boolean): Promise<boolean>;
  /** The newest CRL that is published here. */
  crl(): PublishedCrl | undefined;
  /** Since when it is known here, milliseconds since the epoch; 0 when it was read from disk. */
  sinceMs(): number;
  /** A CRL read from disk, for as long as the record can't be asked. */
  assume(crl: PublishedCrl): void;
  /** Publishes one that somebody else signed with the CA's key; true when it is on disk. */
  take(crl: PublishedCrl): Promise<boolean>;
  /** Why the newest CRL isn't published; undefined when it is. */
  alarm(): string | undefined;
}

export interface PublishDeps {
  store: Store;
  directory: CaDirectory;
  hostCrlPath?: string;
  log: Log;
  /** Told of every CRL that was published. */
  onCrl?: (crl: PublishedCrl) => void;
  /** Whether the cluster's CA has ended: newer CRLs are stock's. */
  isEjected?: () => boolean;
}

export function createPublisher(deps: PublishDeps): Publisher {
  const { store, directory } = deps;
  const { mirror } = store;
  let newest: (PublishedCrl & { fromRecord: boolean; parents: string }) | undefined;
  let sinceMs = 0;
  let alarm: string | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  let writing: Promise<boolean> | undefined;

  const crlJobs = async (): Promise<DirectoryJob[]> => {
    const wanted = () => (newest === undefined ? "unknown" : { content: newest.pem });
    const paths = await crlPaths(directory, deps.hostCrlPath);
    return paths.map((path) => ({ do: "file", path, wanted }));
  };
  const renewCrl = async (again: boolean): Promise<DirectoryJob[]> => {
    const head = mirror.tables.crlHead.get("")?.number;
    const parents = mirror.tables.authority.get("")?.parentCrls;
    if (head === undefined || parents === undefined) return [];
    if (deps.isEjected?.() === true && newest !== undefined && newest.number >= head) {
      return again ? crlJobs() : [];
    }
    if (newest?.number === head && newest.fromRecord && parents === newest.parents) {
      return again ? crlJobs() : [];
    }
    try {
      const built = buildHead(mirror, head) ?? (await completeAndBuild(store));
      if (newest !== undefined && newest.number > built.number) {
        throw new Fault(
          "ca.crl-older",
          `CRL ${newest.number} is published, the record has ${built.number}`,
        );
      }
      const parentsAt = Date.parse(mirror.tables.authority.get("")?.parentCrlsAt ?? "") || 0;
      sinceMs = Math.max(newest?.number === built.number ? sinceMs : wallMs(), parentsAt);
      newest = { ...built, fromRecord: true, parents };
      alarm = undefined;
      deps.onCrl?.(built);
    } catch (error) {
      const because = messageOf(error);
      if (alarm !== because) deps.log.error("the newest CRL can't be published", { why: because });
      alarm = because;
      return [];
    }
    return crlJobs();
  };
  const write = (jobs: DirectoryJob[]) => {
    const done = directory.apply(jobs).finally(() => {
      if (writing === done) writing = undefined;
    });
    writing = done;
    return done;
  };
  /** One after the other: an older list must not overtake a newer one. */
  const inTurn = async (jobsOf: () => Promise<DirectoryJob[]>) => {
    const queued = turn.then(async () => {
      const jobs = await jobsOf();
      // Nothing left to do may mean that another is just bringing it to disk.
      const before = jobs.length === 0 ? writing : undefined;
      return { written: before ?? write(jobs) };
    });
    turn = queued.catch(() => undefined);
    return (await queued).written;
  };
  const publishCrl = async (again = false) => inTurn(async () => renewCrl(again));
  return {
    async publish(touched) {
      const jobs = directory.apply(planJobs(mirror, directory, touched));
      const crl = touched.crl || touched.authority ? await publishCrl() : true;
      return (await jobs) && crl;
    },
    publishCrl,
    crl: () => newest,
    sinceMs: () => sinceMs,
    assume(crl) {
      newest ??= { ...crl, fromRecord: false, parents: "" };
    },
    take: async (crl) =>
      inTurn(async () => {
        if (newest?.pem.equals(crl.pem) === true) return [];
        newest = { ...crl, fromRecord: false, parents: "" };
        sinceMs = wallMs();
        alarm = undefined;
        deps.onCrl?.(crl);
        return crlJobs();
      }),
    alarm: () => alarm,
  };
}

/** Where the CRL goes: to the CA directory, and to puppetserver's own copy where it has one. */
async function crlPaths({ layout }: CaDirectory, hostCrlPath: string | undefined) {
  const has = hostCrlPath !== undefined && (await exists(dirname(hostCrlPath)));
  return has ? [layout.crl, hostCrlPath] : [layout.crl];
}

function planJobs(mirror: Mirror, { layout }: CaDirectory, touched: Touched): DirectoryJob[] {
  const jobs: DirectoryJob[] = [];
  const lines: InventoryLine[] = [];
  const names = new Set(touched.names);
  for (const serial of touched.certs) {
    const line = inventoryLine(mirror, serial);
    if (line === undefined) continue;
    lines.push(line);
    if (mirror.tables.names.get(line.certname)?.serial === serial) names.add(line.certname);
  }
  if (lines.length > 0) jobs.push({ do: "inventory", lines });
  for (const name of names) jobs.push(signedJob(mirror, layout, name));
  for (const name of touched.requests) jobs.push(requestJob(mirror, layout, name));
  return jobs;
}

function buildHead(mirror: Mirror, head: number): PublishedCrl | undefined {
  const value = crlOf(mirror, head);
  const row = mirror.tables.authority.get("");
  if (value === undefined || row === undefined) return undefined;
  try {
    return rebuildCrl(row.issuer, value, mirror.revocations(), row.parentCrls);
  } catch {
    // Perhaps only incomplete yet; completeAndBuild finds out.
    return undefined;
  }
}

async function completeAndBuild(store: Store): Promise<PublishedCrl> {
  const { mirror } = store;
  const { number } = await verifyHead(store);
  const value = crlOf(mirror, number);
  const row = mirror.tables.authority.get("");
  if (value === undefined || row === undefined) {
    throw new Fault("ca.crl-mismatch", `the record lacks CRL ${number}`);
  }
  return rebuildCrl(row.issuer, value, mirror.revocations(), row.parentCrls);
}
