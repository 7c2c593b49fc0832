// The demo's first act: agents get their certificates through the virtual IP.

import { Fault } from "../../src/base/fault.ts";
import { until } from "../../src/base/retry.ts";
import { monotonicMs } from "../../src/host/clock.ts";
import type { Agent } from "../agents.ts";
import type { Cluster } from "../cluster.ts";
import { makeAgent } from "../cluster/crew.ts";
import type { LabHost } from "../host.ts";
import type { Enrolment } from "./judge.ts";

const LIST_MS_MAX = 30_000;

/** An agent whose name is on the allowlist: one run, and it is a node with a catalog. */
export async function enrolAutosigned(
  cluster: Cluster,
  name: string,
): Promise<{ agent: Agent; enrolment: Enrolment }> {
  const agent = await makeAgent(cluster, name);
  const { ok, ms, because } = await agent.run();
  const how = "signed by the allowlist";
  return { agent, enrolment: { agent: agent.certname, how, ok, ms, because } };
}

/** An agent that an administrator signs, on another server than the one that took its request. */
export async function enrolSigned(
  cluster: Cluster,
  name: string,
  say: (line: string) => void,
): Promise<{ agent: Agent; enrolment: Enrolment }> {
  const agent = await makeAgent(cluster, name);
  const begun = monotonicMs();
  const holder = await cluster.holder();
  const signer = cluster.servers.find((server) => server !== holder) ?? cluster.first;
  const submitted = await agent.ssl("submit_request");
  if (!submitted.ok) {
    throw new Fault("lab.enrol", `${name} could not submit its request:\n${submitted.stdout}`);
  }
  say(`${agent.certname} asked ${holder?.fqdn ?? "nobody"}, which holds the address`);
  await untilListed(signer, agent.certname);
  say(`${signer.fqdn}# understudy ca sign ${agent.certname}`);
  await signer.run(["understudy", "ca", "sign", agent.certname]);
  const { ok, because } = await agent.run();
  const how = `signed by hand on ${signer.name}`;
  const ms = Math.round(monotonicMs() - begun);
  return { agent, enrolment: { agent: agent.certname, how, ok, ms, because } };
}

async function untilListed(server: LabHost, certname: string): Promise<void> {
  const list = ["understudy", "ca", "list", "--json"];
  await until(
    `${server.name} lists the request of ${certname}`,
    async () => (await server.run(list)).includes(`"${certname}"`),
    { withinMs: LIST_MS_MAX, everyMs: 200 },
  );
}
