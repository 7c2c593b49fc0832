// The file system that every lab host starts from: Debian with Puppet's and our packages, built
// once from the machine's own apt sources and kept until its ingredients change.

import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../src/base/fault.ts";
import { monotonicMs } from "../src/host/clock.ts";
import { syncFolder } from "../src/host/files.ts";
import { run, tryRun } from "../src/host/process.ts";
import { STATE_FOLDERS } from "./instance.ts";

const BUILD_MS_MAX = 900_000;
const BUILDING = ".building";

const PACKAGES = [
  "systemd,systemd-sysv,dbus,udev,iproute2,iputils-ping,ca-certificates,procps",
  "nftables,libcap2-bin",
  "puppetserver,puppet-agent,puppet-terminus-puppetdb",
  "haproxy,keepalived,etcd-server,etcd-client,openssl,curl,git,bash-completion",
  // No dbconfig: it would want a running PostgreSQL to install into (lab/cluster/puppetdb.ts).
  "puppetdb,dbconfig-no-thanks,postgresql",
  // A host with a wrong clock: the kernel has one clock for all, so programs get LD_PRELOAD.
  "faketime",
].join(",");

/** With this process ends everything that was started below it, and its mounts with them. */
const APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

/** Debian's own periodic chores, which would run in the middle of a measurement. */
const MASKED = [
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "dpkg-db-backup.timer",
  "e2scrub_all.timer",
  "e2scrub_reap.service",
  "systemd-tmpfiles-clean.timer",
];

/** Not started at boot: who needs a PuppetDB starts it. */
const DISABLED = ["puppetdb.service", "postgresql.service"];

/** A small puppetserver that starts fast: what an administrator of a small site would set. */
const JAVA_ARGS = [
  "-Xms512m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
  "-Djruby.logger.class=com.puppetlabs.jruby_utils.jruby.Slf4jLogger",
].join(" ");

/**
 * Lines that differ from what the packages bring: file below the root, the line, its replacement.
 */
const EDITS: readonly { path: string; line: string; becomes: string }[] = [
  {
    path: "etc/default/puppetdb",
    line: "JAVA_ARGS=.*",
    becomes: 'JAVA_ARGS="-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"',
  },
  { path: "etc/default/puppetserver", line: "JAVA_ARGS=.*", becomes: `JAVA_ARGS="${JAVA_ARGS}"` },
  {
    path: "etc/puppet/puppetserver/conf.d/puppetserver.conf",
    line: " *#? *max-active-instances:.*",
    becomes: "    max-active-instances: 1",
  },
];

/** Files of ours. Journals are evidence: they must outlive a power cut that comes seconds later. */
const ADDITIONS: Record<string, string> = {
  "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nSyncIntervalSec=2s\n",
};

/**
 * The base for the present ingredients, built first if it isn't there. `say` gets lines for people.
 */
export async function ensureBase(
  folder: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const sources = await debianSources();
  const base = join(folder, `base-${await fingerprint(sources)}`);
  if (existsSync(base)) return base;
  say("building the lab's base system with mmdebstrap (once; a minute or two) …");
  const start = monotonicMs();
  await mkdir(folder, { recursive: true });
  await removeFormer(folder);
  const building = `${base}.${process.pid}${BUILDING}`;
  signal.throwIfAborted();
  try {
    await build(building, sources, signal);
    // A base that is there must be whole, after a power cut of this machine as well.
    await run(["sync", "-f", building], { withinMs: BUILD_MS_MAX });
    if (!existsSync(base)) await rename(building, base);
    await syncFolder(folder);
  } finally {
    await rm(building, { recursive: true, force: true, maxRetries: 5 });
  }
  say(`base system built in ${Math.round((monotonicMs() - start) / 1000)} s: ${base}`);
  return base;
}

/** apt's source files that name Debian's own archive, as apt itself understands them. */
async function debianSources(): Promise<string[]> {
  const ask = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(SOURCESENTRY)"];
  let files = parseIndexTargets(await run(ask));
  if (files.length === 0) {
    await run(["apt-get", "-q", "update"], { withinMs: BUILD_MS_MAX });
    files = parseIndexTargets(await run(ask));
  }
  if (files.length > 0) return files;
  throw new Fault("lab.no-sources", "apt on this machine has no source of Debian's archive", {
    hints: ["Lab hosts are built from the sources in /etc/apt/sources.list and sources.list.d."],
  });
}

/** Files in lines "ORIGIN|FILE:NUMBER" whose origin is Debian, each once, in order. */
export function parseIndexTargets(text: string): string[] {
  const files = text
    .split("\n")
    .filter((line) => line.startsWith("Debian|"))
    .map((line) => line.slice("Debian|".length).replace(/:\d+$/, ""));
  return [...new Set(files)];
}

async function fingerprint(sources: string[]): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([PACKAGES, MASKED, DISABLED, EDITS, ADDITIONS]));
  for (const file of sources) hash.update(await readFile(file));
  return hash.digest("hex").slice(0, 12);
}

/** Removes former bases and interrupted builds, except what hosts of some lab run on. */
async function removeFormer(folder: string): Promise<void> {
  const records = globSync(join(STATE_FOLDERS, "lab.json")).map((path) =>
    readFileSync(path, "utf8"),
  );
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const used = records.some((record) => record.includes(JSON.stringify(path)));
    const building = name.endsWith(BUILDING) && existsSync(`/proc/${name.split(".")[1]}`);
    if (!name.startsWith("base-") || used || building) continue;
    await rm(path, { recursive: true, force: true });
  }
}

async function build(root: string, sources: string[], signal: AbortSignal): Promise<void> {
  const suite = /^VERSION_CODENAME=(\w+)/m.exec(await readFile("/etc/os-release", "utf8"))?.[1];
  if (suite === undefined) throw new Fault("lab.no-sources", "/etc/os-release names no suite");
  const args = ["--quiet", "--variant=minbase", `--include=${PACKAGES}`, suite, root, ...sources];
  const argv = [...APART, "mmdebstrap", ...args];
  const result = await tryRun(argv, { withinMs: BUILD_MS_MAX, signal });
  if (!result.ok) {
    throw new Fault("lab.base-failed", "mmdebstrap could not build the base system", {
      hints: result.stderr.trim().split("\n").slice(-12),
    });
  }
  await customise(root);
}

async function customise(root: string): Promise<void> {
  for (const unit of MASKED) await symlink("/dev/null", join(root, "etc/systemd/system", unit));
  for (const unit of DISABLED) {
    await rm(join(root, "etc/systemd/system/multi-user.target.wants", unit), { force: true });
  }
  for (const { path, line, becomes } of EDITS) {
    const before = await readFile(join(root, path), "utf8");
    const after = before.replace(new RegExp(`^${line}$`, "m"), becomes);
    if (after === before) throw new Fault("lab.base-failed", `nothing to change in ${path}`);
    await writeFile(join(root, path), after);
  }
  for (const [path, text] of Object.entries(ADDITIONS)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  // No resolver: what isn't in /etc/hosts fails at once instead of waiting for a time-out.
  await writeFile(join(root, "etc/resolv.conf"), "");
}
