// The hand-assembled design in the lab: two servers with stock puppetserver, HAProxy in TCP mode
// and keepalived, the CA on the first one. Set up as the guides say, and measured beside
// Understudy. What is left out: rsync of the CA directory, since no figure here reads what it
// copies.

import { Fault } from "../../src/base/fault.ts";
import { until } from "../../src/base/retry.ts";
import { type Agent, createAgents } from "../../lab/agents.ts";
import { findHolder } from "../../lab/cluster.ts";
import { type CompileMood, setMood, writeSite } from "../../lab/cluster/site.ts";
import type { LabHost } from "../../lab/host.ts";
import { orInterrupted } from "../../lab/interrupt.ts";
import { type Lab, openLab } from "../../lab/lab.ts";
import { SHARED_NAME, VIRTUAL_ADDRESS } from "../../lab/plan.ts";
import { enrol, type Site } from "../site.ts";
import { agentSettings, CA_CONF, CA_DISABLED, PUPPETSERVER_PORT } from "./config.ts";
import { renderHaproxy, renderKeepalived, renderPuppetConf, WEBSERVER_CONF } from "./config.ts";

const START_MS_MAX = 240_000;
const BOOTSTRAP_MS_MAX = 120_000;
const WHOLE_MS_MAX = 240_000;
const CONF = "/etc/puppet/puppetserver/conf.d";
const SERVICES = "/etc/puppet/puppetserver/services.d";

/** Boots two servers and an agents' host, and sets the design up on them. */
export async function openBaseline(
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Baseline> {
  const lab = await openLab({ hosts: ["s1", "s2", "a1"], say, signal });
  const baseline = new Baseline(lab);
  try {
    await orInterrupted(setUp(baseline, say), signal);
    return baseline;
  } catch (error) {
    await lab.down();
    throw error;
  }
}

async function setUp(baseline: Baseline, say: (line: string) => void): Promise<void> {
  const { ca, servers } = baseline;
  for (const server of servers) {
    await writeSite(server);
    await server.writeFile("/etc/puppet/puppet.conf", renderPuppetConf(server, ca));
    await server.writeFile(`${CONF}/webserver.conf`, WEBSERVER_CONF);
  }
  say("s1: its own CA, and puppetserver");
  await ca.writeFile(`${CONF}/ca.conf`, CA_CONF);
  const names = `${SHARED_NAME},${ca.fqdn}`;
  await ca.run([
    "puppetserver",
    "ca",
    "setup",
    "--subject-alt-names",
    names,
    "--certname",
    ca.fqdn,
  ]);
  await startPuppetserver(ca);
  for (const server of servers.filter((server) => server !== ca)) {
    say(`${server.name}: a certificate from s1, and puppetserver`);
    await server.writeFile(`${SERVICES}/ca.cfg`, CA_DISABLED);
    const altNames = `${SHARED_NAME},${server.fqdn}`;
    const request = ["--certname", server.fqdn, "--dns_alt_names", altNames];
    await server.run(["puppet", "ssl", "bootstrap", ...request], { withinMs: BOOTSTRAP_MS_MAX });
    await startPuppetserver(server);
  }
  say("HAProxy and keepalived");
  for (const [index, server] of servers.entries()) {
    await server.writeFile("/etc/haproxy/haproxy.cfg", renderHaproxy(servers));
    await server.run(["systemctl", "restart", "haproxy"]);
    const keepalived = renderKeepalived(server, 101 - index);
    await server.writeFile("/etc/keepalived/keepalived.conf", keepalived);
    await server.run(["systemctl", "restart", "keepalived"]);
  }
  await baseline.untilWhole();
}

async function startPuppetserver(server: LabHost): Promise<void> {
  await server.run(["systemctl", "enable", "--now", "puppetserver"], { withinMs: START_MS_MAX });
}

export class Baseline implements Site {
  readonly kind = "baseline";
  readonly lab: Lab;
  readonly servers: readonly LabHost[];
  readonly ca: LabHost;
  readonly agentHost: LabHost;
  readonly vip = VIRTUAL_ADDRESS;

  constructor(lab: Lab) {
    this.lab = lab;
    this.ca = lab.host("s1");
    this.servers = [this.ca, lab.host("s2")];
    this.agentHost = lab.host("a1");
  }

  async holder(): Promise<LabHost | undefined> {
    return findHolder(this.servers, this.vip);
  }

  async mood(certname: string, mood: CompileMood): Promise<void> {
    await setMood(this.servers, certname, mood);
  }

  async agents(names: readonly string[]): Promise<Agent[]> {
    const settings = agentSettings(this.ca);
    const agents = await createAgents(this.agentHost, names, { settings });
    await enrol(agents);
    return agents;
  }

  /**
   * An agent that talks to the CA server's puppetserver and to nothing else. Nothing of it is done
   * yet.
   */
  async newcomer(name: string): Promise<Agent> {
    const direct = { server: this.ca.fqdn, serverport: `${PUPPETSERVER_PORT}` };
    const settings = { ...agentSettings(this.ca), ...direct };
    const [agent] = await createAgents(this.agentHost, [name], { settings });
    if (agent !== undefined) return agent;
    throw new Fault("bench.no-agent", `no agent ${name} was made`);
  }

  async untilWhole(): Promise<void> {
    await this.#until("every puppetserver is up at every HAProxy", async () => {
      for (const server of this.servers) {
        if (!(await this.#standsBy(server))) return false;
        if (!(await server.exec(["systemctl", "is-active", "puppetserver"])).ok) return false;
        const stats = await server.exec(["perl", "-MIO::Socket::UNIX", "-e", SHOW_STAT]);
        if (countUp(stats.stdout) < this.servers.length) return false;
      }
      return true;
    });
  }

  async untilStandby(): Promise<void> {
    await this.#until("keepalived and HAProxy run on every server", async () => {
      for (const server of this.servers) if (!(await this.#standsBy(server))) return false;
      return true;
    });
  }

  /** Whether a server could hold the address: HAProxy runs, keepalived has settled on a state. */
  async #standsBy(server: LabHost): Promise<boolean> {
    const active = await server.exec(["systemctl", "is-active", "haproxy", "keepalived"]);
    const said = await server.exec("journalctl -b -u keepalived --no-pager -o cat");
    return active.ok && /Entering (BACKUP|MASTER) STATE/.test(said.stdout);
  }

  async #until(what: string, probe: () => Promise<boolean>): Promise<void> {
    await until(what, async () => (await probe()) && (await this.holder()) !== undefined, {
      withinMs: WHOLE_MS_MAX,
      everyMs: 500,
    });
  }
}

const SHOW_STAT =
  '$s = IO::Socket::UNIX->new("/run/haproxy/admin.sock") or die; print $s "show stat\\n"; print <$s>';

/** How many servers of the backend are up, in the output of HAProxy's `show stat`. */
export function countUp(csv: string): number {
  return csv.split("\n").filter((line) => {
    const fields = line.split(",");
    const server = fields[0] === "puppetservers" && fields[1] !== "BACKEND";
    return server && fields[17]?.startsWith("UP") === true;
  }).length;
}
