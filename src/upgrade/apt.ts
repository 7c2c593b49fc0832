// apt and dpkg, thinly: what is installed, what would change, and the change. Danger: they ask
// questions, remove what is in the way and wait for ever, unless they are told not to.

import { Fault } from "../base/fault.ts";
import { type RunResult, tryRun } from "../host/process.ts";
import {
  type AptPlan,
  explainApt,
  type Installed,
  parseAptPlan,
  LOCKED,
  parseInstalled,
  QUERY_FORMAT,
} from "./parse.ts";

const ASK_MS = 30_000;
const LOCK_S = 300;
const INSTALL_MS = 1_500_000;
const CONFIGURE_MS = 600_000;

export interface AptHost {
  /** Added to the environment of both. */
  env?: NodeJS.ProcessEnv;
  /** How long another apt or dpkg is waited for, seconds. Default 300. */
  lockS?: number;
}

/** An administrator's edits of configuration stay; nothing is asked, nothing else is restarted. */
const QUIET = {
  LC_ALL: "C",
  DEBIAN_FRONTEND: "noninteractive",
  NEEDRESTART_SUSPEND: "1",
  UCF_FORCE_CONFFOLD: "1",
};
const KEEP_FILES = [
  "-o",
  "Dpkg::Options::=--force-confdef",
  "-o",
  "Dpkg::Options::=--force-confold",
];

/** Whether this server's packages are dpkg's: undefined where they aren't, else by what name. */
export async function hasApt({ env }: AptHost): Promise<boolean> {
  const asked = await tryRun(["apt-get", "--version"], options(env, ASK_MS)).catch(() => undefined);
  return asked?.ok === true;
}

/** Those of `names` that are installed. */
export async function readInstalled(
  { env }: AptHost,
  names: readonly string[],
): Promise<Installed[]> {
  // It fails where one of them isn't there, and lists the others.
  const argv = ["dpkg-query", "--show", `--showformat=${QUERY_FORMAT}`, ...names];
  return parseInstalled((await tryRun(argv, options(env, ASK_MS))).stdout);
}

/** What upgrading `names` to the newest would do. Throws Fault `upgrade.apt`. */
export async function simulate({ env }: AptHost, names: readonly string[]): Promise<AptPlan> {
  const argv = ["apt-get", "-s", "-q", "install", "--only-upgrade", ...names];
  const said = await tryRun(argv, options(env, ASK_MS));
  if (said.ok) return parseAptPlan(said.stdout);
  throw new Fault("upgrade.apt", explainApt(said.stderr));
}

/**
 * Sets up what an interrupted dpkg has left; does nothing where all is whole, or where another one
 * is in the midst of it: apt-get waits for that.
 */
export async function finishInterrupted({ env }: AptHost): Promise<RunResult | undefined> {
  const audit = await tryRun(["dpkg", "--audit"], options(env, ASK_MS));
  if (audit.stdout.trim() === "") return undefined;
  const argv = ["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"];
  const said = await tryRun(argv, options(env, CONFIGURE_MS));
  return LOCKED.test(said.stderr) ? undefined : said;
}

/** Upgrades each to its version: no other, nothing is removed, nothing becomes older. */
export async function install(
  { env, lockS = LOCK_S }: AptHost,
  packages: readonly { name: string; to: string }[],
): Promise<RunResult> {
  const argv = ["apt-get", "-q", "-y", "--only-upgrade", "--no-remove"];
  const lock = ["-o", `DPkg::Lock::Timeout=${lockS}`];
  const wanted = packages.map(({ name, to }) => `${name}=${to}`);
  return tryRun([...argv, ...lock, ...KEEP_FILES, "install", ...wanted], options(env, INSTALL_MS));
}

function options(env: NodeJS.ProcessEnv | undefined, withinMs: number) {
  return { env: { ...process.env, ...QUIET, ...env }, withinMs };
}
