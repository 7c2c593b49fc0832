// The dashboard in a real browser in the lab's network, before three servers: signing in at one,
// what another's silence looks like, a request that is signed by a click. Agents run all the while.

import assert from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { ensureBrowser, launchBrowser } from "../../../scripts/browser.ts";
import { until } from "../../../src/base/retry.ts";
import { wallMs } from "../../../src/host/clock.ts";
import { AccessMade } from "../../../src/setup/contract.ts";
import { createAgents } from "../../agents.ts";
import type { Cluster } from "../../cluster.ts";
import { assertFine } from "../../cluster/compiles.ts";
import { HUNG_MS } from "../../cluster/crew.ts";
import { scenario, type Scene, seconds } from "../../cluster/scenario.ts";
import { namespaceOf } from "../../plan.ts";

const DAEMON = "understudy.service";
const PORT = 9143;
const WAIT_MS = 60_000;

const { hazard } = scenario({ crew: ["crew1", "crew2"] });

/** A browser in the network of the agents' host, which knows the servers' names. */
async function browserIn({ agentHost, servers }: Cluster): Promise<Browser> {
  await ensureBrowser(console.log);
  const rules = servers.map(({ fqdn, address }) => `MAP ${fqdn} ${address}`).join(",");
  return launchBrowser({
    by: ["nsenter", `--net=/run/netns/${namespaceOf(agentHost.name)}`, "--"],
    args: [`--host-resolver-rules=${rules}`],
  });
}

/** The page of `host`, signed in. */
async function signIn(browser: Browser, host: string, token: string): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  await page.goto(`https://${host}:${PORT}/`);
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "What would it survive?" }).waitFor();
  return page;
}

async function prepare(scene: Scene): Promise<{ token: string; browser: Browser }> {
  const { cluster, undo } = scene;
  undo(async () => cluster.first.run("understudy api off"));
  await cluster.first.run("understudy api listen");
  const make = `understudy access create page${wallMs()} --role admin --json`;
  const { token } = AccessMade.parse(JSON.parse(await cluster.first.run(make)));
  for (const { fqdn } of cluster.servers) {
    const header = `Authorization: Bearer ${token}`;
    const knows = `curl -skf -o /dev/null -H '${header}' https://${fqdn}:${PORT}/v1/local`;
    await until(`${fqdn} knows the token`, async () => (await cluster.agentHost.exec(knows)).ok, {
      withinMs: WAIT_MS,
    });
  }
  const browser = await browserIn(cluster);
  undo(async () => browser.close());
  return { token, browser };
}

hazard(
  "every server serves the page; a request is signed there, and its agent runs",
  async (scene) => {
    const { cluster } = scene;
    const { token, browser } = await prepare(scene);
    for (const { fqdn } of cluster.servers) {
      const page = await signIn(browser, fqdn, token);
      await page.getByRole("status").filter({ hasText: "tolerates 1 failure" }).waitFor();
      await page.context().close();
    }
    const [agent] = await createAgents(cluster.agentHost, [`clicked${wallMs()}.lab.test`]);
    assert.ok(agent);
    const submitted = await agent.ssl("submit_request");
    assert.ok(submitted.ok, submitted.stdout + submitted.stderr);
    const page = await signIn(browser, cluster.servers[1]?.fqdn ?? "", token);
    await page.getByRole("link", { name: "Certificates" }).click();
    await page.getByRole("button", { name: `Sign ${agent.certname}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Sign", exact: true }).click();
    await page
      .getByRole("status")
      .filter({ hasText: `${agent.certname} is signed.` })
      .waitFor();
    assertFine(await agent.run({ withinMs: HUNG_MS }));
  },
);

hazard(
  "a server's daemon that stops is on the page of another, and so is its return",
  async (scene) => {
    const { cluster, report, undo } = scene;
    const { token, browser } = await prepare(scene);
    const [first, , third] = cluster.servers;
    assert.ok(first !== undefined && third !== undefined);
    const page = await signIn(browser, first.fqdn, token);
    await page.getByText("Every promise holds.").first().waitFor();
    undo(async () => third.run(`systemctl start ${DAEMON}`));
    const fromMs = wallMs();
    await third.run(`systemctl stop ${DAEMON}`);
    const warning = page.getByRole("listitem").filter({ hasText: `${third.fqdn} doesn't answer` });
    await warning.first().waitFor();
    report(`its silence is on the page after ${seconds(wallMs() - fromMs)}`);
    await third.run(`systemctl start ${DAEMON}`);
    await page.getByText("Every promise holds.").first().waitFor();
  },
);
