// The life of one host's processes and disk: create, start, cut the power, wait until it is gone.
// Each host has a disk of its own (an ext4 image), so that a power cut loses what was not fsynced
// and a full disk is full for that host only. Its mounts live in a mount namespace of its own and
// vanish with its last process: a crash leaves none behind.

import { spawn } from "node:child_process";
import { open as openFile, mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { Fault } from "../src/base/fault.ts";
import { until } from "../src/base/retry.ts";
import { run, tryRun } from "../src/host/process.ts";
import { endGroups, killGroup, makeGroups } from "./cgroups.ts";
import { enterArgs, runToEnd } from "./exec.ts";
import { hostsFolder } from "./instance.ts";
import { plugIn, pullCable, unplug } from "./network.ts";
import { nspawnArgs, renderHosts } from "./plan.ts";
import { childrenOf, commandOf, identify, isAlive, signalProcess } from "./process-tree.ts";
import { endRelay } from "./slow.ts";
import { forgetHost, writeHost, type HostRecord } from "./state.ts";

const DISK_BYTES = 8 * 1024 ** 3;
const INIT_MS_MAX = 30_000;
/** Of a boot is the start of its puppetserver: 115 s were seen on a busy machine. */
const BOOT_MS_MAX = 300_000;
const GONE_MS_MAX = 20_000;

/** Moves itself into the groups, mounts, and becomes the program after "--". */
const RUNNER = `
set -e
folder=$1; base=$2; shift 2
while [ "$1" != -- ]; do echo $$ > "$1"; shift; done
shift
cd "$folder"
mount -o loop,noatime disk.img disk
mkdir -p disk/upper disk/work
mount -t overlay overlay -o "lowerdir=$base,upperdir=disk/upper,workdir=disk/work" root
if [ -d seed ]; then cp -a seed/. root/; rm -rf seed; fi
exec "$@"
`;

/** EXT4_IOC_SHUTDOWN without flushing the journal: the file system as a power cut leaves it. */
const DISK_OFF =
  "open(F,'<',$ARGV[0]) or die $!; my $f=pack('L',2); ioctl(F,0x8004587d,$f) or die $!";

/** The folder of `host` below the lab's `folder`. */
export function hostFolder(folder: string, host: string): string {
  return join(hostsFolder(folder), host);
}

/** Makes the disk of a new host, with what sets it apart from the base. */
export async function createDisk(folder: string, host: string): Promise<void> {
  const own = hostFolder(folder, host);
  for (const name of ["disk", "root", "seed/etc"]) {
    await mkdir(join(own, name), { recursive: true });
  }
  const image = join(own, "disk.img");
  await (await openFile(image, "wx")).close();
  await truncate(image, DISK_BYTES);
  await run(["mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=32", image]);
  const seed: Record<string, string> = {
    hostname: `${host}\n`,
    hosts: renderHosts(),
    "machine-id": `${randomUUID().replaceAll("-", "")}\n`,
  };
  for (const [name, text] of Object.entries(seed))
    await writeFile(join(own, "seed/etc", name), text);
}

/**
 * Starts the host and waits until its systemd has started everything, or `signal` aborts: whoever
 * aborts clears what was begun.
 */
export async function powerOn(
  folder: string,
  base: string,
  host: string,
  signal: AbortSignal,
): Promise<HostRecord> {
  await plugIn(host);
  const groups = await makeGroups(host);
  const own = hostFolder(folder, host);
  const console = await openFile(join(own, "console.log"), "a");
  const nspawn = nspawnArgs(host, join(own, "root"));
  const inside = ["sh", "-c", RUNNER, "lab-host", own, base, ...groups, "--", ...nspawn];
  // Detached: the host outlives the command that started it.
  const child = spawn("unshare", ["--mount", "--propagation", "slave", "--", ...inside], {
    detached: true,
    stdio: ["ignore", console.fd, console.fd],
    // Sysctls of its own network, as a server has them; the machine's others stay read-only.
    env: { ...process.env, SYSTEMD_NSPAWN_API_VFS_WRITABLE: "network" },
  });
  await console.close();
  child.unref();
  const record = await waitForInit(host, own, child.pid ?? -1, signal);
  await writeHost(host, record);
  await waitForBoot(host, own, record, signal);
  return record;
}

async function waitForInit(
  host: string,
  own: string,
  pid: number,
  signal: AbortSignal,
): Promise<HostRecord> {
  const found = await until(
    `${host}: PID 1`,
    () => {
      if (identify(pid) === undefined) return { gone: true as const };
      const init = childrenOf(pid).find((child) => commandOf(child) === "systemd");
      return init === undefined ? undefined : { gone: false as const, init };
    },
    { withinMs: INIT_MS_MAX, everyMs: 20, signal },
  );
  const nspawn = identify(pid);
  const init = found.gone ? undefined : identify(found.init);
  if (nspawn !== undefined && init !== undefined) return { nspawn, init };
  throw await endedEarly(host, own);
}

async function waitForBoot(
  host: string,
  own: string,
  record: HostRecord,
  signal: AbortSignal,
): Promise<void> {
  const ask = enterArgs(record.init.pid, ["systemctl", "is-system-running", "--wait"]);
  await until(
    `${host}: systemd has started everything`,
    async () => {
      if (!isAlive(record.init)) throw await endedEarly(host, own);
      const answer = await runToEnd(ask, { withinMs: BOOT_MS_MAX, signal });
      return ["running", "degraded"].includes(answer.stdout.trim());
    },
    { withinMs: BOOT_MS_MAX, everyMs: 50, signal },
  );
}

async function endedEarly(host: string, own: string): Promise<Fault> {
  const said = await readFile(join(own, "console.log"), "utf8");
  return new Fault("lab.boot-failed", `${host} ended while it was starting`, {
    hints: said.trim().split("\n").slice(-8),
  });
}

/**
 * Ends the host as a pulled plug does: no packet leaves it any more, nothing unsynced stays on
 * disk. Returns when that was, ms since the epoch.
 */
export async function powerOff(folder: string, host: string, record: HostRecord): Promise<number> {
  // The cable first: what the dying processes' kernel would send (FIN, RST, ARP) must not get out.
  const atMs = await pullCable(host);
  await diskOff(folder, host, record);
  if (isAlive(record.init)) signalProcess(record.init.pid, "SIGKILL");
  await killGroup(host);
  await waitUntilGone(folder, host);
  return atMs;
}

async function diskOff(folder: string, host: string, record: HostRecord): Promise<void> {
  if (!isAlive(record.nspawn)) return;
  const disk = `/proc/${record.nspawn.pid}/root${join(hostFolder(folder, host), "disk")}`;
  await run(["perl", "-e", DISK_OFF, disk]);
}

/** Ends every process of `host` and waits until no mount, loop device and namespace is left. */
async function waitUntilGone(folder: string, host: string): Promise<void> {
  await endGroups(host);
  await endRelay(host);
  await unplug(host);
  await forgetHost(host);
  const image = join(hostFolder(folder, host), "disk.img");
  await until(`${host}: disk released`, async () => (await loopsOf(image)) === "", {
    withinMs: GONE_MS_MAX,
    everyMs: 20,
  });
}

async function loopsOf(image: string): Promise<string> {
  return (await tryRun(["losetup", "--noheadings", "-O", "NAME", "-j", image])).stdout.trim();
}

/**
 * Ends whatever runs of `host`, recorded or not, and removes its disk. For leftovers and for
 * `down`.
 */
export async function destroy(folder: string, host: string): Promise<void> {
  await waitUntilGone(folder, host);
  await rm(hostFolder(folder, host), { recursive: true, force: true });
}
