// argv → a command or the daemon. Commands know how to fail: one place prints it and sets the exit
// code.

import { Command, CommanderError } from "commander";
import { type Adder, addTyped } from "./cli/lazy.ts";
import { EXIT, reportFailure } from "./cli/output.ts";
import { VERSION } from "./version.ts";

// Whoever reads our output may stop reading (head, less): that is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

const program = new Command("understudy")
  .description("High availability for Puppet and OpenVox servers")
  .version(VERSION)
  .showHelpAfterError("(--help shows what there is)")
  .exitOverride();

const [word, subword] = process.argv.slice(2);

const COMMANDS: Record<string, Adder> = {
  init: async (to) => (await import("./cli/init.ts")).addInit(to),
  join: async (to) => (await import("./cli/join.ts")).addJoin(to),
  status: async (to) => (await import("./cli/status.ts")).addStatus(to),
  top: async (to) => (await import("./cli/top.ts")).addTop(to),
  capacity: async (to) => (await import("./cli/capacity.ts")).addCapacity(to),
  token: async (to) => (await import("./cli/token.ts")).addToken(to),
  member: addMemberCommands,
  leave: addMemberCommands,
  switchover: async (to) => (await import("./cli/switchover.ts")).addSwitchover(to),
  failover: async (to) => (await import("./cli/failover.ts")).addFailover(to),
  drain: addDrainCommands,
  undrain: addDrainCommands,
  pause: addPauseCommands,
  resume: addPauseCommands,
  restart: async (to) => (await import("./cli/restart.ts")).addRestart(to),
  drill: async (to) => (await import("./cli/drill.ts")).addDrill(to),
  probe: async (to) => (await import("./cli/probe.ts")).addProbe(to),
  upgrade: async (to) => (await import("./cli/upgrade.ts")).addUpgrade(to),
  backend: async (to) => (await import("./cli/backend.ts")).addBackendCommands(to),
  puppetdb: async (to) => (await import("./cli/puppetdb.ts")).addPuppetdb(to),
  reports: async (to) => (await import("./cli/reports.ts")).addReports(to),
  history: async (to) => (await import("./cli/history.ts")).addHistory(to),
  config: async (to) => (await import("./cli/config.ts")).addConfig(to),
  why: async (to) => (await import("./cli/why.ts")).addWhy(to),
  incident: async (to) => (await import("./cli/incident.ts")).addIncident(to),
  api: async (to) => (await import("./cli/api.ts")).addApi(to),
  access: async (to) => (await import("./cli/access.ts")).addAccess(to),
  metrics: async (to) => (await import("./cli/metrics.ts")).addMetrics(to),
  eject: async (to) => (await import("./cli/eject.ts")).addEject(to),
  ca: async (to) => (await import("./cli/ca.ts")).addCa(to, subword),
  daemon: async (to) => {
    to.command("daemon")
      .description("run the daemon in the foreground (understudy.service does)")
      .action(async () => (await import("./daemon.ts")).runDaemon());
  },
  completion: async (to) => {
    // It is made of all the others.
    if (word === "completion") await addTyped(to, undefined, withoutCompletion);
    (await import("./cli/completion.ts")).addCompletion(to);
  },
  internal: async (to) => (await import("./cli/internal.ts")).addInternal(to),
};
const { completion: _, ...withoutCompletion } = COMMANDS;

try {
  await addTyped(program, word, COMMANDS);
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else {
    process.exitCode = reportFailure(error, process.argv.includes("--json"));
  }
}

async function addDrainCommands(to: Command): Promise<void> {
  (await import("./cli/drain.ts")).addDrain(to);
}

async function addPauseCommands(to: Command): Promise<void> {
  (await import("./cli/pause.ts")).addPause(to);
}

async function addMemberCommands(to: Command): Promise<void> {
  (await import("./cli/member.ts")).addMember(to);
}
