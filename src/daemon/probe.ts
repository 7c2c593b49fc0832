// This server's synthetic agent: its certificate, where it connects, and the measure that it takes
// all the time where the cluster is set so.

import { readFile } from "node:fs/promises";
import { release } from "node:os";
import type { Ca } from "../ca/authority.ts";
import { messageOf } from "../base/fault.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import { shareNext } from "../base/share-next.ts";
import { probeName } from "../cluster/drill.ts";
import {
  describeMeasured,
  NOTHING_MEASURED,
  type ProbeStatus,
  probeWarnings,
  withProbe,
} from "../cluster/probe-status.ts";
import type { Settings } from "../cluster/schema.ts";
import type { View } from "../cluster/view.ts";
import { factsFrom } from "../drill/facts.ts";
import { keepIdentity, type ProbeCa } from "../drill/identity.ts";
import { askCatalog, CATALOG_MS, type ProbeAccess, steadyClock } from "../drill/probe.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { readIfThere } from "../host/files.ts";
import { PATHS, PORTS } from "../host/paths.ts";
import type { ProbeAnswer } from "../setup/drill-contract.ts";
import type { Core } from "./core.ts";

const TICK_MS = 1000;
/** A round of the loop that takes longer is told of as one that hangs. */
const ROUND_MS = 80_000;

export interface Probe {
  /** What it connects with; `held`: an address to prefer. Throws what the CA throws. */
  access(held?: string): Promise<ProbeAccess>;
  /** Asks for one catalog now. */
  once(): Promise<ProbeAnswer>;
  /** Undefined while the cluster isn't set to probe. */
  status(): ProbeStatus | undefined;
  warnings(): string[];
  loop: Loop;
}

export function startProbe(core: Core, ca: Ca): Probe {
  const { node, layout, keeper, log, signal } = core;
  const certname = probeName(node.id);
  const signer = probeCa(ca);
  const identity = shareNext(async () => keepIdentity(PATHS.probe, certname, signer, wallMs()));
  const settings = () => keeper.current()?.settings;
  const now = steadyClock();
  let measured = NOTHING_MEASURED;
  let askedMs = Number.NEGATIVE_INFINITY;

  const access = async (held?: string): Promise<ProbeAccess> => {
    const [{ cert, key }, bundle, osRelease] = await Promise.all([
      identity(),
      readFile(layout.localcacert, "utf8"),
      readIfThere("/etc/os-release"),
    ]);
    const facts = factsFrom({
      osRelease: osRelease ?? "",
      certname,
      hostname: certname.split(".")[1] ?? certname,
      address: node.address,
      kernelRelease: release(),
      puppetVersion: layout.versions.puppet,
    });
    const serverName = node.sharedName;
    const host = targetOf(settings(), serverName, held);
    return { host, port: PORTS.edge, serverName, certname, ca: bundle, cert, key, facts };
  };
  const once = async (withinMs = CATALOG_MS): Promise<ProbeAnswer> => {
    const ready = await access();
    const asked = await askCatalog(ready, now, { signal, withinMs });
    const { ok, because, status, startMs, endMs } = asked;
    const ms = Math.round(endMs - startMs);
    return { ok, because, status, ms, target: `${ready.host}:${ready.port}`, certname };
  };
  const loop = startLoop({
    name: "synthetic agent",
    everyMs: TICK_MS,
    log,
    signal,
    body: async () => {
      const everyMs = (settings()?.probeEveryS ?? 0) * 1000;
      if (everyMs === 0) measured = NOTHING_MEASURED;
      if (everyMs === 0 || core.node.phase !== "ready" || monotonicMs() - askedMs < everyMs) return;
      askedMs = monotonicMs();
      const { ok, because, ms } = await once(ROUND_MS).catch((error: unknown) => {
        return { ok: false, because: messageOf(error), ms: 0 };
      });
      measured = withProbe(measured, { atMs: wallMs(), ok, because, ms });
    },
  });
  const isOn = () => (settings()?.probeEveryS ?? 0) > 0;
  return {
    access,
    once: async () => once(),
    status: () => (isOn() ? describeMeasured(measured) : undefined),
    warnings: () => (isOn() ? probeWarnings(measured) : []),
    loop,
  };
}

/** Where an agent of this cluster connects: a virtual IP, else the shared name. */
export function targetOf(
  settings: Pick<Settings, "virtualIps"> | undefined,
  sharedName: string,
  held?: string,
): string {
  const addresses = (settings?.virtualIps ?? []).map((vip) => vip.split("/")[0] ?? vip);
  const preferred = addresses.find((address) => address === held);
  return preferred ?? addresses[0] ?? sharedName;
}

/** A member's address among the cluster's that it holds now. */
export function heldBy(view: View, addresses: readonly string[]): string | undefined {
  const known = view.settings.virtualIps.map((vip) => vip.split("/")[0]);
  return addresses.find((address) => known.includes(address));
}

/** The CA as the synthetic agent's certificate needs it. */
export function probeCa(ca: Ca): ProbeCa {
  return {
    has: (certname) => ca.show(certname).certificates.some(({ state }) => state === "signed"),
    isInForce: (certname, cert) =>
      ca.show(certname).certificates.some(({ pem, state }) => pem === cert && state === "signed"),
    sign: async (pem) => (await ca.generate(pem)).pem,
    clean: async (certname) => {
      await ca.clean([certname]);
    },
  };
}
