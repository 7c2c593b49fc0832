// Autosign by a program of the administrator's, as Puppet Server has it: the certname as its
// argument, the request on its standard input, exit code 0 means "sign". Danger: anybody who can
// reach the port has it run, so few run at once, each for a bounded time.

import { messageOf } from "../base/fault.ts";
import { printable } from "../base/printable.ts";
import { tryRun } from "../host/process.ts";
import { parseHocon } from "./hocon.ts";

const AT_ONCE_MAX = 4;
/** Requests that wait for their turn; more are left to an administrator. */
const WAITING_MAX = 100;
/** What it may say in the log, in characters. */
const SAID_MAX = 500;
const LIMIT_S = 30;

export interface PolicyVerdict {
  sign: boolean;
  warnings: string[];
}

/** Asks the program at `path` about the request `pem`, as it was submitted. Never throws. */
export type PolicyProgram = (path: string, certname: string, pem: string) => Promise<PolicyVerdict>;

/**
 * Runs programs as children, behind `prefix` where it is given: what lowers their rights. They are
 * ended after 30 s, which means "don't sign".
 */
export function createPolicyProgram(
  options: { prefix?: readonly string[]; withinMs?: number } = {},
): PolicyProgram {
  const { prefix = [], withinMs = LIMIT_S * 1000 } = options;
  const waiting: (() => void)[] = [];
  let running = 0;
  const take = async () => {
    if (running < AT_ONCE_MAX) running += 1;
    else await new Promise<void>((resolve) => void waiting.push(resolve));
  };
  const give = () => {
    // Whoever waits takes the place over: nobody who comes just now gets it.
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  };
  return async (path, certname, pem) => {
    if (waiting.length >= WAITING_MAX) {
      return { sign: false, warnings: [`${path} isn't asked about ${certname}: it is too busy`] };
    }
    await take();
    try {
      const argv = [...prefix, path, certname];
      const result = await tryRun(argv, { input: pem, withinMs });
      return { sign: result.ok, warnings: warningsOf(path, certname, result) };
    } catch (error) {
      return { sign: false, warnings: [`${path} can't be run: ${messageOf(error)}`] };
    } finally {
      give();
    }
  };
}

/**
 * What puppetserver adds to the environment of a program, so that one in Ruby finds what is
 * installed for it: of puppetserver.conf. Throws Fault `ca.conf` where that can't be read.
 */
export function rubyEnvironment(puppetserverConf: string): Record<string, string> {
  const section = parseHocon(puppetserverConf)["jruby-puppet"];
  if (section === undefined || typeof section === "string" || Array.isArray(section)) return {};
  const paths = (name: string) => {
    const value = section[name] ?? [];
    const all = Array.isArray(value) ? value : [value];
    const texts = all.filter((each) => typeof each === "string");
    return texts.filter((text) => text.startsWith("/")).join(":");
  };
  const environment = { GEM_PATH: paths("gem-path"), RUBYLIB: paths("ruby-load-path") };
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
}

/** What lowers a program's rights: a unit of its own, as `user`, with puppetserver's environment. */
export function policyPrefix(as: {
  user: string;
  group: string;
  environmentFile: string;
  /** Where the file doesn't say otherwise. */
  environment: Record<string, string>;
}): string[] {
  return [
    "systemd-run",
    "--quiet",
    "--pipe",
    "--wait",
    "--collect",
    `--uid=${as.user}`,
    `--gid=${as.group}`,
    ...Object.entries(as.environment).map(([name, value]) => `--setenv=${name}=${value}`),
    // What it says goes before the same names in --setenv.
    `--property=EnvironmentFile=-${as.environmentFile}`,
    // Whoever waits for it gives up first, and says so.
    `--property=RuntimeMaxSec=${LIMIT_S + 1}`,
    "--property=UMask=027",
    "--",
  ];
}

function warningsOf(
  path: string,
  certname: string,
  { timedOut, stderr }: { timedOut: boolean; stderr: string },
): string[] {
  const warnings: string[] = [];
  if (timedOut) warnings.push(`${path} took too long over ${certname}: it is not signed`);
  const said = printable(stderr.trim().replaceAll("\n", " | ")).slice(0, SAID_MAX);
  if (said !== "") warnings.push(`${path} about ${certname}: ${said}`);
  return warnings;
}
