// What moves puppetserver behind the edge, and what moves it back. Pure: file texts in, actions
// with reasons out. All edits are made in memory first, so that a file that isn't understood stops
// the plan before anything is written.

import { editAuthConf } from "./auth-conf.ts";
import { caServiceOn, editCaCfg } from "./ca-cfg.ts";
import { unknownConfig } from "./hocon-places.ts";
import { editPuppetConf } from "./puppet-conf.ts";
import type { Stray } from "./strays.ts";
import { editWebserverConf, type ListenerConfig } from "./webserver-conf.ts";

export interface PuppetserverDesired {
  listener: ListenerConfig;
  /** The name that agents use. */
  sharedName: string;
  /**
   * Where stock's CA is, when the cluster's has ended: in this puppetserver, whose CA service is on
   * then, or in another one.
   */
  stockCa?: "here" | "elsewhere" | undefined;
}

/** A file as it is on disk. */
export interface ObservedFile {
  path: string;
  text: string;
  /** Text of its original; undefined when we never edited it. */
  original: string | undefined;
}

export interface PuppetserverObserved {
  webserver: ObservedFile;
  auth: ObservedFile;
  ca: ObservedFile;
  puppet: ObservedFile;
  /** Files of conf.d with something that only one file may hold. */
  elsewhere: ({ path: string } & Stray)[];
  /** When we last edited one of its files, in ms since the epoch; undefined: never. */
  editedMs: number | undefined;
  /**
   * Last change of the listener's certificate, key and CA, in ms since the epoch; undefined: not
   * there.
   */
  identityChangedMs: number | undefined;
  /** When we last edited how it finds PuppetDB, in ms since the epoch; undefined: never. */
  terminusMs?: number | undefined;
  /** In ms since the epoch; undefined when it doesn't run. */
  startedMs: number | undefined;
  /** When our last reload began, in ms since the epoch; undefined: never. */
  reloadedMs: number | undefined;
}

export type PuppetserverAction =
  | { do: "write"; path: string; text: string; because: string }
  /** Ends running compiles: drain it at the edges first, one server at a time. */
  | { do: "restart"; because: string }
  /**
   * A restart inside the running JVM: port 8141 is gone for some 3 s, compiles end as well.
   * `identityMs` is the change that it loads.
   */
  | { do: "reload"; identityMs: number; because: string };

/**
 * Lists what brings puppetserver behind the edge; empty when nothing is left to do. Throws Fault
 * `puppetserver.config-unknown` for a file that isn't understood.
 */
export function planPuppetserver(
  desired: PuppetserverDesired,
  observed: PuppetserverObserved,
): PuppetserverAction[] {
  const { webserver, auth, ca, puppet } = observed;
  const [stray] = observed.elsewhere;
  if (stray !== undefined) {
    const owner = stray.what === "webserver" ? "webserver.conf" : "auth.conf";
    const what =
      stray.what === "include"
        ? "an include is not understood: it may set anything"
        : `"${stray.what}" was expected in ${owner} alone`;
    throw unknownConfig(stray.path, stray.line, what);
  }
  const edited: [ObservedFile, string, string][] = [
    [
      webserver,
      editWebserverConf(webserver.text, desired.listener, webserver.path),
      `puppetserver listens on port ${desired.listener.port}, for edges only`,
    ],
    [auth, editAuthConf(auth.text, auth.path), "the edge says who an agent is"],
    [
      ca,
      editCa(ca.text, ca.path, desired),
      desired.stockCa === "here" ? "it has the CA again" : "the cluster's own CA answers",
    ],
    [
      puppet,
      editPuppetConf(puppet.text, desired.sharedName, puppet.path).text,
      `this server's own agent uses ${desired.sharedName}`,
    ],
  ];
  const writes = edited
    .filter(([file, text]) => file.text !== text)
    .map(([file, text, because]): PuppetserverAction => {
      return { do: "write", path: file.path, text, because };
    });
  return [...writes, ...planRun(observed, writes)];
}

/**
 * One file to put back: `ours` is what we would have written there, so that others' edits are told
 * apart.
 */
export interface RevertAction {
  path: string;
  ours: string | undefined;
  because: string;
}

/**
 * Lists the files whose originals are put back, so that stock puppetserver runs as before. Never
 * throws.
 */
export function planRevert(
  desired: PuppetserverDesired,
  observed: Pick<PuppetserverObserved, "webserver" | "auth" | "ca" | "puppet">,
): RevertAction[] {
  const { webserver, auth, ca, puppet } = observed;
  const ours: [ObservedFile, (text: string) => string][] = [
    [webserver, (text) => editWebserverConf(text, desired.listener, webserver.path)],
    [auth, (text) => editAuthConf(text, auth.path)],
    [ca, (text) => editCa(text, ca.path, desired)],
    [puppet, (text) => editPuppetConf(text, desired.sharedName, puppet.path).text],
  ];
  return ours.flatMap(([file, edit]) => {
    const { path, original } = file;
    if (original === undefined) return [];
    // There is one CA now: what the file had before the cluster came is no more.
    const { stockCa } = desired;
    if (file === ca && stockCa !== undefined && caServiceOn(original) !== (stockCa === "here")) {
      return [];
    }
    return [{ path, ours: attempt(() => edit(original)), because: "as it was before Understudy" }];
  });
}

function planRun(
  observed: PuppetserverObserved,
  writes: PuppetserverAction[],
): PuppetserverAction[] {
  const { startedMs, reloadedMs, editedMs, identityChangedMs } = observed;
  // One that doesn't run reads everything when it is started; an administrator's stop is theirs.
  if (startedMs === undefined) return [];
  // Only agents read `server` in puppet.conf; puppetserver needs no restart for it.
  const restarting = [observed.webserver, observed.auth, observed.ca];
  const written = writes.some(
    (action) => action.do === "write" && restarting.some((file) => file.path === action.path),
  );
  if (written) return [{ do: "restart", because: "its configuration changes" }];
  if (editedMs !== undefined && editedMs > startedMs) {
    return [{ do: "restart", because: "it was started before its configuration was changed" }];
  }
  const loadedMs = Math.max(startedMs, reloadedMs ?? 0);
  const changes: [number | undefined, string][] = [
    [identityChangedMs, "its listener has a newer certificate on disk"],
    [observed.terminusMs, "how it finds PuppetDB has changed"],
  ];
  const newer = changes.filter(([ms]) => ms !== undefined && ms > loadedMs);
  const because = newer.map(([, why]) => why).join(", and ");
  const identityMs = Math.max(...newer.map(([ms = 0]) => ms));
  return newer.length === 0 ? [] : [{ do: "reload", identityMs, because }];
}

function attempt(edit: () => string): string | undefined {
  try {
    return edit();
  } catch {
    return undefined;
  }
}

function editCa(text: string, path: string, { stockCa }: PuppetserverDesired): string {
  return editCaCfg(text, path, stockCa === "here" ? "on" : "off");
}
