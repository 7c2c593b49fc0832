// npm run lab -- …: the lab by hand. Each command is short-lived; the lab goes on without it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { Command, CommanderError, Option } from "commander";
import { renderFault } from "../src/base/fault.ts";
import { monotonicMs } from "../src/host/clock.ts";
import { labFolder } from "./instance.ts";
import { attachLab, type Lab, openLab, takeLabDown } from "./lab.ts";
import type { CutDirection } from "./network.ts";
import { VIRTUAL_ADDRESS } from "./plan.ts";
import { isAlive } from "./process-tree.ts";
import { readLab } from "./state.ts";

const DEFAULT_HOSTS = ["s1", "s2", "s3", "a1"];
/** What `status` exits with when no lab is up, as systemctl does for a stopped unit. */
const NOTHING_UP = 3;
const USAGE = 2;

function program(): Command {
  const lab = new Command("npm run lab --");
  lab
    .description("Real Debian servers on this machine, in namespaces. Needs root.")
    .exitOverride()
    .enablePositionalOptions()
    .addHelpText(
      "after",
      `
Hosts: s1…s9 servers (10.88.0.11…), a1…a9 agents' hosts (10.88.0.21…), c1…c9 compilers,
w1…w9 witnesses. puppet.lab.test is ${VIRTUAL_ADDRESS} on each of them.
The base system that hosts start from stays in ${labFolder()} (0.8 GB) after
\`down\`, and so do Debian packages that the lab needs: rm -r and apt-get remove take them away.
Exit codes: 0 done, 1 failed (the message says why), 2 wrong usage, 3 status: no lab is up;
exec and shell: that of the command.`,
    );
  lab
    .command("up")
    .argument("[hosts...]", "hosts to boot", DEFAULT_HOSTS)
    .description("boot a lab that stays up until `down`")
    .action(up);
  lab
    .command("status")
    .option("--json", "for programs")
    .description("which hosts there are, and what is cut")
    .action(status);
  lab
    .command("exec")
    .argument("<host>")
    .argument("<command...>")
    .passThroughOptions()
    .description("run a command as root in a host")
    .action(async (host: string, command: string[]) => enter(host, command));
  lab
    .command("shell")
    .argument("<host>")
    .description("a root shell in a host")
    .action(async (host: string) => enter(host, ["bash", "-l"]));
  lab
    .command("cut")
    .argument("<host>")
    .addOption(
      new Option("--direction <direction>", "both: cable out; silent: both ways, cable in")
        .choices(["both", "in", "out", "silent"])
        .default("both"),
    )
    .option("--power", "pull the plug instead: the host dies and unsynced data with it")
    .description("cut a host off the network, or its power")
    .action(cutHost);
  lab
    .command("heal")
    .argument("<host>")
    .description("undo every cut and slowness of a host's link")
    .action(healHost);
  lab
    .command("slow")
    .argument("<host>")
    .option("--delay <ms>", "milliseconds added to every packet, each way", Number, 0)
    .option("--loss <percent>", "packets lost, each way", Number, 0)
    .description("make a host's link slow or lossy")
    .action(async (name: string, { delay, loss }: { delay: number; loss: number }) => {
      const host = (await attachLab()).host(name);
      await host.slow({ delayMs: delay, lossPercent: loss });
    });
  lab
    .command("boot")
    .argument("<host>")
    .description("boot a host that is off, or add a new one")
    .action(bootHost);
  lab
    .command("down")
    .description("end the lab and remove every trace of it, also one whose owner crashed")
    .action(async () => {
      await takeLabDown(console.log);
    });
  return lab;
}

async function up(hosts: string[]): Promise<void> {
  const start = monotonicMs();
  const lab = await openLab({ hosts, say: console.log });
  await lab.leaveUp();
  await status({});
  const seconds = ((monotonicMs() - start) / 1000).toFixed(1);
  console.log(`\nUp in ${seconds} s. Try: npm run lab -- shell ${hosts[0] ?? "s1"}`);
}

async function status(options: { json?: boolean }): Promise<void> {
  const record = await readLab();
  if (record === undefined) {
    console.log(options.json === true ? JSON.stringify({ up: false }) : "No lab is up.");
    process.exitCode = NOTHING_UP;
    return;
  }
  const hosts = await describeHosts(await attachLab());
  const { kept, owner } = record;
  const ownerRuns = isAlive(owner);
  if (options.json === true) {
    console.log(JSON.stringify({ up: true, kept, owner, ownerRuns, hosts }));
    return;
  }
  console.log(ownerText(kept, ownerRuns, `pid ${owner.pid} since ${owner.since}`));
  console.log(`\n${"HOST".padEnd(7)}${"ADDRESS".padEnd(13)}${"STATE".padEnd(9)}LINK`);
  for (const host of hosts) {
    const state = host.up ? "up" : "off";
    console.log(`${host.name.padEnd(7)}${host.address.padEnd(13)}${state.padEnd(9)}${host.link}`);
  }
}

function ownerText(kept: boolean, runs: boolean, who: string): string {
  if (kept) return `A lab that stays until \`down\`, made by ${who}.`;
  if (runs) return `A lab in use by ${who}.`;
  return `Leftovers of ${who}, which is gone. Clear them: npm run lab -- down`;
}

async function describeHosts(lab: Lab) {
  const names = await lab.names();
  return Promise.all(
    names.map(async (name) => {
      const host = lab.host(name);
      const up = await host.isUp();
      return {
        name,
        fqdn: host.fqdn,
        address: host.address,
        up,
        link: await linkText(up, lab, name),
      };
    }),
  );
}

async function linkText(up: boolean, lab: Lab, name: string): Promise<string> {
  if (!up) return "-";
  const { plugged, dropped, slow } = await lab.host(name).link();
  const wrong: string[] = [];
  if (!plugged) wrong.push("unplugged");
  if (dropped.length > 0) wrong.push(`drops ${dropped.join(" and ")}`);
  if (slow) wrong.push("slow");
  return wrong.length === 0 ? "fine" : wrong.join(", ");
}

async function enter(name: string, command: string[]): Promise<void> {
  const terminal = process.env["TERM"] ?? "dumb";
  const given = command[0] === "--" ? command.slice(1) : command;
  const argv = await (await attachLab()).host(name).enterArgs(given, { TERM: terminal });
  const child = spawn(argv[0] ?? "", argv.slice(1), { stdio: "inherit" });
  // ^C is for the command, which shares our terminal; we wait for what it makes of it.
  process.on("SIGINT", () => undefined);
  const [code] = (await once(child, "exit")) as [number | null];
  process.exitCode = code ?? 1;
}

async function cutHost(
  name: string,
  options: { direction: CutDirection; power?: boolean },
): Promise<void> {
  const host = (await attachLab()).host(name);
  if (options.power === true) await host.powerCut();
  else await host.cutLink({ direction: options.direction });
}

async function healHost(name: string): Promise<void> {
  const host = (await attachLab()).host(name);
  await host.heal();
  await host.unslow();
}

async function bootHost(name: string): Promise<void> {
  const lab = await attachLab();
  if ((await lab.names()).includes(name)) await lab.host(name).boot();
  else await lab.add(name);
}

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : USAGE;
  } else {
    console.error(renderFault(error));
    process.exitCode = 1;
  }
}
