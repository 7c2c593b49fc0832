// argv → a command or the daemon. Commands know how to fail: one place prints it and sets the exit
// code.

import { Command, CommanderError } from "commander";
import { commandsOf } from "./cli/commands.ts";
import { type Adder, addTyped } from "./cli/lazy.ts";
import { EXIT, reportFailure } from "./cli/output.ts";
import { VERSION } from "./version.ts";

// Whoever reads our output may stop reading (head, less): that is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});
// A lost terminal ends no work halfway: what is under way ends in order (setup/steps.ts).
process.stderr.on("error", () => undefined);

const HELP = `
  understudy status               what is so, and what to look at
  understudy COMMAND --help       options, an example, exit codes

Exit code: 0 done, 1 refused or failed, 2 wrong usage, 3 done, but not confirmed everywhere.
The handbook is in /usr/share/doc/understudy/: install.md, day-two.md, alerts.md and others.`;

const DAEMON_HELP = `
  systemctl restart understudy

Exit code: 0 it was told to end, 1 it can't go on.`;

const program = new Command("understudy")
  .description("High availability for Puppet and OpenVox servers")
  .version(VERSION)
  .showHelpAfterError("(--help shows what there is)")
  .addHelpText("after", HELP)
  .exitOverride();

const [word, subword] = process.argv.slice(2);

const ALL: Record<string, Adder> = {
  ...commandsOf(subword),
  daemon: async (to) => {
    to.command("daemon")
      .description("run the daemon in the foreground (understudy.service does)")
      .addHelpText("after", DAEMON_HELP)
      .action(async () => (await import("./daemon.ts")).runDaemon());
  },
  completion: async (to) => {
    // It is made of all the others.
    if (word === "completion") await addTyped(to, undefined, withoutCompletion);
    (await import("./cli/completion.ts")).addCompletion(to);
  },
};
const { completion: _, ...withoutCompletion } = ALL;

try {
  await addTyped(program, word, ALL);
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else {
    process.exitCode = reportFailure(error, process.argv.includes("--json"));
  }
}
