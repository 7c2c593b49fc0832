// systemd, thinly: units through systemctl, messages to our own unit through systemd-notify, the
// end of a unit's journal. Every call has a deadline; starting puppetserver may take minutes, so it
// is the caller's to give. Node has no datagram sockets of its own, hence the program for
// sd_notify(3).

import { run, tryRun } from "./process.ts";

const ASK_MS = 10_000;
const ACT_MS = 120_000;
const NOTIFY_MS = 5000;
const JOURNAL_LINES_MAX = 1000;

export type UnitVerb =
  | "start"
  | "stop"
  | "restart"
  | "try-restart"
  | "reload"
  | "reload-or-restart"
  | "enable"
  | "disable"
  | "mask"
  | "unmask"
  | "reset-failed";

export interface UnitOptions {
  /** Milliseconds until systemctl itself is given up on. Default 120,000. */
  withinMs?: number;
  /** Do not wait for the job: it goes on when systemctl has returned. */
  noBlock?: boolean;
  signal?: AbortSignal;
}

/**
 * What systemd says of a unit. Words are systemd's own; absent and never loaded is `loaded: false`.
 */
export interface UnitState {
  loaded: boolean;
  /** active, activating, reloading, inactive, failed, deactivating. */
  active: string;
  /** running, dead, exited, start-pre, auto-restart, … */
  sub: string;
  enabled: boolean;
  /** 0 when nothing runs. */
  mainPid: number;
  /** How often systemd brought it back since it was last started by hand. */
  restarts: number;
  /** success, exit-code, signal, oom-kill, timeout, … */
  result: string;
}

/** Does `verb` to `unit` and waits until systemd is done. Throws Fault `host.command-failed`. */
export async function unit(verb: UnitVerb, unit: string, options: UnitOptions = {}): Promise<void> {
  await run(["systemctl", ...(options.noBlock === true ? ["--no-block"] : []), verb, unit], {
    withinMs: options.withinMs ?? ACT_MS,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

/** Ends every process of `unit` at once (SIGKILL). Throws Fault `host.command-failed`. */
export async function killUnit(unit: string): Promise<void> {
  await run(["systemctl", "kill", "--signal=KILL", unit], { withinMs: ASK_MS });
}

/** Whether `unit` is up, or serving while it reloads. False also where there is no systemd. */
export async function isActive(unit: string): Promise<boolean> {
  const result = await tryRun(["systemctl", "is-active", unit], { withinMs: ASK_MS }).catch(
    () => undefined,
  );
  return result !== undefined && ["active", "reloading"].includes(result.stdout.trim());
}

/**
 * The named properties of `unit` as systemd prints them (systemctl show). Throws Fault
 * `host.command-failed`.
 */
export async function showUnit(
  unit: string,
  properties: readonly string[],
): Promise<Record<string, string>> {
  const argv = ["systemctl", "show", unit, "--no-pager", `--property=${properties.join(",")}`];
  return parseProperties(await run(argv, { withinMs: ASK_MS }));
}

/** The state of `unit`. Throws Fault `host.command-failed` where systemd doesn't answer. */
export async function unitState(unit: string): Promise<UnitState> {
  const shown = await showUnit(unit, [
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "MainPID",
    "NRestarts",
    "Result",
  ]);
  return {
    loaded: shown["LoadState"] === "loaded",
    active: shown["ActiveState"] ?? "inactive",
    sub: shown["SubState"] ?? "dead",
    enabled: shown["UnitFileState"] === "enabled",
    mainPid: Number(shown["MainPID"] ?? 0),
    restarts: Number(shown["NRestarts"] ?? 0),
    result: shown["Result"] ?? "success",
  };
}

/** Reads `systemctl show`: one NAME=VALUE a line, the value may itself hold "=". */
export function parseProperties(text: string): Record<string, string> {
  const properties: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) properties[line.slice(0, at)] = line.slice(at + 1);
  }
  return properties;
}

/** A line of sd_notify(3) that we send. */
export type Notification =
  | "READY=1"
  | "WATCHDOG=1"
  | "STOPPING=1"
  | "RELOADING=1"
  | `STATUS=${string}`
  | `WATCHDOG_USEC=${number}`
  | `EXTEND_TIMEOUT_USEC=${number}`;

/**
 * Tells systemd `lines`; does nothing outside a unit of Type=notify. Never throws: returns whether
 * systemd got them. The unit needs NotifyAccess=all, as the message comes from a child of ours.
 */
export async function notify(...lines: Notification[]): Promise<boolean> {
  if (process.env["NOTIFY_SOCKET"] === undefined) return false;
  const flat = lines.map((line) => line.replaceAll("\n", " "));
  const result = await tryRun(["systemd-notify", ...flat], { withinMs: NOTIFY_MS }).catch(
    () => undefined,
  );
  return result?.ok === true;
}

/**
 * How often the watchdog wants to hear from us, in milliseconds: half of what systemd allows.
 * Undefined: no watchdog.
 */
export function watchdogMs(env: NodeJS.ProcessEnv = process.env): number | undefined {
  const allowed = Number(env["WATCHDOG_USEC"]);
  if (!Number.isFinite(allowed) || allowed <= 0) return undefined;
  return Math.floor(allowed / 2000);
}

export interface JournalOptions {
  /** Default 20, at most 1000. */
  lines?: number;
  /** Lines of this boot only; default true. */
  thisBoot?: boolean;
}

/** The last lines of a unit's journal, oldest first; empty where the journal can't be read. */
export async function journalTail(unit: string, options: JournalOptions = {}): Promise<string[]> {
  const lines = Math.min(Math.max(1, options.lines ?? 20), JOURNAL_LINES_MAX);
  const boot = options.thisBoot === false ? [] : ["--boot"];
  const argv = ["journalctl", "--unit", unit, ...boot, "--no-pager", "--quiet", "--output=cat"];
  const result = await tryRun([...argv, `--lines=${lines}`], { withinMs: ASK_MS }).catch(
    () => undefined,
  );
  if (result?.ok !== true) return [];
  return result.stdout.split("\n").filter((line) => line !== "");
}

/**
 * Has systemd run `argv` once after `seconds`, whatever becomes of us; a reboot forgets it. Throws
 * Fault `host.command-failed`.
 */
export async function runLater(
  name: string,
  seconds: number,
  argv: readonly string[],
): Promise<void> {
  const how = ["--quiet", "--collect", `--unit=${name}`, "--timer-property=AccuracySec=1s"];
  const when = `--on-active=${Math.ceil(seconds)}`;
  await run(["systemd-run", ...how, when, "--", ...argv], { withinMs: ASK_MS });
}
