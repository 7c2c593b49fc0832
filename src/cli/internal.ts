// Commands that units and maintainer scripts call; not for people, so not in the help.

import type { Command } from "commander";
import { runFileServer } from "../edge/file-server.ts";
import { prepareEdge } from "../setup/edge-prepare.ts";
import { release } from "../setup/leave.ts";

export function addInternal(program: Command): void {
  const internal = program.command("internal", { hidden: true });
  internal
    .command("file-server")
    .description("serve certificates and the CRL to the edge (understudy-files.service)")
    .action(runFileServer);
  internal
    .command("edge-prepare")
    .description("fetch the newest revocations before HAProxy starts (understudy-edge.service)")
    .action(prepareEdge);
  internal
    .command("release")
    .description("give puppetserver back its former configuration (before the package is removed)")
    .action(async () => {
      const say = (line: string) => process.stdout.write(`${line}\n`);
      for (const problem of await release(say)) say(problem);
    });
}
