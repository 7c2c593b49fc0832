// argv → a command or the daemon. Commands know how to fail: one place prints it and sets the exit
// code.

import { Command, CommanderError } from "commander";
import { addBackendCommands } from "./cli/backend.ts";
import { addCa } from "./cli/ca.ts";
import { addCompletion } from "./cli/completion.ts";
import { addEject } from "./cli/eject.ts";
import { addInit } from "./cli/init.ts";
import { addInternal } from "./cli/internal.ts";
import { addJoin } from "./cli/join.ts";
import { addMember } from "./cli/member.ts";
import { EXIT, reportFailure } from "./cli/output.ts";
import { addStatus } from "./cli/status.ts";
import { addToken } from "./cli/token.ts";
import { runDaemon } from "./daemon.ts";
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

addInit(program);
addJoin(program);
addStatus(program);
addToken(program);
addMember(program);
addBackendCommands(program);
addCa(program);
addEject(program);
program
  .command("daemon")
  .description("run the daemon in the foreground (understudy.service does)")
  .action(runDaemon);
addCompletion(program);
addInternal(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else {
    process.exitCode = reportFailure(error, process.argv.includes("--json"));
  }
}
