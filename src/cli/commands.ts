// Every command by its name. Those that main makes of more than a terminal needs aren't here: the
// daemon, and the completion, which is made of all.

import type { Command } from "commander";
import type { Adder } from "./lazy.ts";

/** The commands; of `ca` only what `subword` names, if it names something. */
export function commandsOf(subword: string | undefined): Record<string, Adder> {
  return {
    init: async (to) => (await import("./init.ts")).addInit(to),
    join: async (to) => (await import("./join.ts")).addJoin(to),
    status: async (to) => (await import("./status.ts")).addStatus(to),
    top: async (to) => (await import("./top.ts")).addTop(to),
    capacity: async (to) => (await import("./capacity.ts")).addCapacity(to),
    token: async (to) => (await import("./token.ts")).addToken(to),
    member: addMemberCommands,
    leave: addMemberCommands,
    switchover: async (to) => (await import("./switchover.ts")).addSwitchover(to),
    failover: async (to) => (await import("./failover.ts")).addFailover(to),
    drain: addDrainCommands,
    undrain: addDrainCommands,
    pause: addPauseCommands,
    resume: addPauseCommands,
    restart: async (to) => (await import("./restart.ts")).addRestart(to),
    drill: async (to) => (await import("./drill.ts")).addDrill(to),
    probe: async (to) => (await import("./probe.ts")).addProbe(to),
    upgrade: async (to) => (await import("./upgrade.ts")).addUpgrade(to),
    backend: async (to) => (await import("./backend.ts")).addBackendCommands(to),
    puppetdb: async (to) => (await import("./puppetdb.ts")).addPuppetdb(to),
    reports: async (to) => (await import("./reports.ts")).addReports(to),
    history: async (to) => (await import("./history.ts")).addHistory(to),
    hooks: async (to) => (await import("./hooks.ts")).addHooks(to),
    config: async (to) => (await import("./config.ts")).addConfig(to),
    alerts: async (to) => (await import("./alerts.ts")).addAlerts(to),
    why: async (to) => (await import("./why.ts")).addWhy(to),
    incident: async (to) => (await import("./incident.ts")).addIncident(to),
    api: async (to) => (await import("./api.ts")).addApi(to),
    access: async (to) => (await import("./access.ts")).addAccess(to),
    metrics: async (to) => (await import("./metrics.ts")).addMetrics(to),
    eject: async (to) => (await import("./eject.ts")).addEject(to),
    ca: async (to) => (await import("./ca.ts")).addCa(to, subword),
    internal: async (to) => (await import("./internal.ts")).addInternal(to),
  };
}

async function addDrainCommands(to: Command): Promise<void> {
  (await import("./drain.ts")).addDrain(to);
}

async function addPauseCommands(to: Command): Promise<void> {
  (await import("./pause.ts")).addPause(to);
}

async function addMemberCommands(to: Command): Promise<void> {
  (await import("./member.ts")).addMember(to);
}
