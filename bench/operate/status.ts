// How long `understudy status` takes in a cluster of nine members whose CA has 100,000
// certificates: the command itself on a server, started anew each time, with every other member
// asked. All nine are real; three are servers with the whole CA, six compile, which have no CA.
// Their puppetservers are stopped, but for the first server's: nine JVMs don't fit this machine,
// and status asks edges.

import { z } from "zod";
import { buildPackage } from "../../packaging/build.ts";
import { Fault } from "../../src/base/fault.ts";
import { PATHS } from "../../src/host/paths.ts";
import { type Cluster, openCluster } from "../../lab/cluster.ts";
import type { LabHost } from "../../lab/host.ts";
import { orInterrupted } from "../../lab/interrupt.ts";
import type { OpenOptions } from "../bench.ts";
import { ensureFleet, type FleetPlan, placeFleet } from "../ca/directory.ts";
import { figure } from "../figure.ts";
import { filled, type Group, makeTrials, type Seen } from "../group.ts";
import type { BareSite } from "../site.ts";
import { median, worst } from "../stats.ts";

/** A key of 2048 bits, or making them would take minutes; nothing here depends on it. */
const LARGE: FleetPlan = { certificates: 100_000, revoked: 0, cleaned: false, keyBits: 2048 };
const SERVERS = 3;
const COMPILERS = ["s4", "s5", "s6", "s7", "s8", "s9"];
const JOIN_MS_MAX = 600_000;
const CALM_MS_MAX = 600_000;
const MEMBERS = SERVERS + COMPILERS.length;

export interface NineSite extends BareSite {
  /** Which of the members answer now. */
  answering(): Promise<number>;
}

export async function openNine({ say, signal }: OpenOptions): Promise<NineSite> {
  const fleet = await orInterrupted(ensureFleet(LARGE, say), signal);
  const prepare = async (server: LabHost) => {
    if (server.name === "s1") await placeFleet(server, fleet);
  };
  const cluster = await openCluster({ servers: SERVERS, vip: false, prepare, say, signal });
  const { lab, agentHost, first } = cluster;
  try {
    for (const server of cluster.servers.slice(1)) await stopPuppetserver(server);
    for (const name of COMPILERS) await orInterrupted(addCompiler(cluster, name, say), signal);
    return {
      kind: "understudy",
      lab,
      servers: cluster.servers,
      agentHost,
      answering: async () => countAnswers(first),
    };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

async function addCompiler(
  { lab, first }: Cluster,
  name: string,
  say: (line: string) => void,
): Promise<void> {
  await lab.add(name);
  const host = lab.host(name);
  await host.installDeb(await buildPackage());
  const made = await first.run("understudy token create --role compiler --json");
  const { token } = z.object({ token: z.string() }).parse(JSON.parse(made));
  await host.writeFile("/root/join-token", token, { mode: 0o600 });
  const join = `understudy join https://${first.address}:9140 --token-file /root/join-token`;
  await host.run(join, { withinMs: JOIN_MS_MAX });
  await stopPuppetserver(host);
  say(`${name} compiles`);
}

async function stopPuppetserver(server: LabHost): Promise<void> {
  await server.run("systemctl disable --now puppetserver");
}

const Status = z.object({
  members: z.array(z.object({ local: z.looseObject({}).optional() })),
});

async function countAnswers(first: LabHost): Promise<number> {
  const { members } = Status.parse(JSON.parse(await first.run("understudy status --json")));
  return members.filter(({ local }) => local !== undefined).length;
}

interface Trial {
  /** The whole command, and its question to the daemon alone. */
  commandS: number;
  askedS: number;
}

export function status(): Group<NineSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name: "status",
    about: "understudy status with 100,000 certificates and nine members",
    trials: { full: 20, quick: 5, baseline: 0 },
    measure: async (site, measuring) => {
      const [server] = site.servers;
      if (server === undefined) throw new Fault("bench.no-server", "there is no server to ask");
      await server.untilHolds("understudy status", CALM_MS_MAX);
      const answering = await site.answering();
      if (answering !== MEMBERS) {
        throw new Fault("bench.not-whole", `${answering} of ${MEMBERS} members answer`);
      }
      await makeTrials(seen, site, measuring, async (number, keep) => {
        const commandS = await timed(server, "understudy status");
        const ask = `curl -sf --unix-socket ${PATHS.apiSocket} http://understudy/v1/status`;
        const askedS = await timed(server, ask);
        measuring.say(`${site.kind}: status ${number}: ${commandS.toFixed(3)} s`);
        keep({ commandS, askedS });
      });
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => {
      const ours = filled(seen.understudy);
      if (ours === undefined) return [];
      const name = `status of ${MEMBERS} members, 100,000 certificates`;
      const commands = ours.map(({ commandS }) => commandS);
      const asked = ours.map(({ askedS }) => askedS);
      return [
        figure(`${name}: the command, median`, median(commands), "s", { goal: { under: 0.3 } }),
        figure(`${name}: the command, worst`, worst(commands), "s"),
        figure(`${name}: the daemon's answer, median`, median(asked), "s"),
      ];
    },
    raw: () => seen,
  };
}

/** How long a command takes on the server, seconds, without the way there. */
async function timed(server: LabHost, command: string): Promise<number> {
  const said = await server.run(`date +%s%N; ${command} > /dev/null; date +%s%N`);
  const [before = 0, after = 0] = said.trim().split("\n").map(Number);
  return (after - before) / 1e9;
}
