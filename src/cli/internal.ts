// Commands that units and maintainer scripts call; not for people, so not in the help.

import type { Command } from "commander";
import { createLog } from "../base/log.ts";
import { runCourier } from "../courier/run.ts";
import { runFileServer } from "../edge/file-server.ts";
import { PATHS } from "../host/paths.ts";
import { notify } from "../host/systemd.ts";
import { prepareEdge } from "../setup/edge-prepare.ts";
import { runKeeper } from "../vip/switchover/keeper.ts";
import { Side } from "../vip/switchover/order.ts";
import { runUpgrade, SYSTEMD_UNITS } from "../upgrade/job.ts";
import { check } from "./options.ts";
import { EXIT } from "./output.ts";
import { release } from "../setup/leave.ts";

export function addInternal(program: Command): void {
  const internal = program.command("internal", { hidden: true });
  internal
    .command("file-server")
    .description("serve certificates and the CRL to the edge (understudy-files.service)")
    .action(runFileServer);
  internal
    .command("courier")
    .argument("[file]", "what it is told", PATHS.courierConfig)
    .description("keep PuppetDB commands and bring them to PuppetDBs (understudy-courier.service)")
    .action(async (file: string) => {
      const stop = new AbortController();
      for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort());
      await runCourier(file, {
        log: createLog((line) => process.stderr.write(`${line}\n`)),
        signal: stop.signal,
        onReady: () => void notify("READY=1"),
      });
      // What clients hold open is no reason to stay.
      process.exit(0);
    });
  internal
    .command("edge-prepare")
    .description("fetch the newest revocations before HAProxy starts (understudy-edge.service)")
    .action(prepareEdge);
  internal
    .command("switchover")
    .argument("<side>", "old or new")
    .argument("[folder]", "where it is told what to do", PATHS.switchover)
    .argument("[vip-folder]", "where the number for keepalived is", PATHS.vip)
    .description("one side of a switchover (understudy-switchover@.service)")
    .action(async (side: string, folder: string, vipFolder: string) => {
      const stop = new AbortController();
      for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort());
      await runKeeper(check(Side, "<side>", side), {
        folder,
        vipFolder,
        log: createLog((line) => process.stderr.write(`${line}\n`)),
        signal: stop.signal,
      });
      process.exit(0);
    });
  internal
    .command("upgrade")
    .argument("[folder]", "where it is told what to do", PATHS.upgrade)
    .description("upgrade this server's packages as ordered (understudy-upgrade.service)")
    .action(async (folder: string) => {
      // dpkg isn't to be left halfway: whoever ends this waits for it.
      for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => undefined);
      const log = createLog((line) => process.stderr.write(`${line}\n`));
      const result = await runUpgrade({ folder, units: SYSTEMD_UNITS, log });
      if (result?.state !== "done") process.exitCode = EXIT.failed;
    });
  internal
    .command("release")
    .description("give puppetserver back its former configuration (before the package is removed)")
    .action(async () => {
      const say = (line: string) => process.stdout.write(`${line}\n`);
      for (const problem of await release(say)) say(problem);
    });
}
