// Who gets a certificate, and for how long, by the files that administrators know: a program that
// `autosign` names decides, with puppetserver's rights, and agents have their certificates renewed.
// Stock Puppet's file formats, real agents, plain curl.

import assert from "node:assert/strict";
import { wallMs } from "../../../src/host/clock.ts";
import type { Cluster } from "../../cluster.ts";
import { caUrl } from "../../cluster/signings.ts";
import { makeAgent } from "../../cluster/crew.ts";
import { scenario } from "../../cluster/scenario.ts";

const BOOTSTRAP_MS_MAX = 120_000;
const CHANGE_MS_MAX = 60_000;
const CONF = "/etc/puppet/puppet.conf";
const CA_CONF = "/etc/puppet/puppetserver/conf.d/ca.conf";
const POLICY = "/etc/puppet/lab-policy";
const SAID = "/var/log/puppetserver/lab-policy.log";
const DAY_S = 86_400;
const RENEWED_S = 60 * DAY_S;

const { hazard } = scenario({ crew: ["crew1", "crew2"] });

hazard(
  "a program signs by name and request, as puppet, and who waits is signed by hand",
  async (scene) => {
    const { cluster, undo } = scene;
    undo(async () => putBack(cluster));
    await settings(cluster);
    const stamp = wallMs();
    const [yes, no] = [`yes${stamp}.policy.test`, `no${stamp}.policy.test`];
    for (const certname of [yes, no]) await bootstrap(cluster, certname, certname === yes);
    const said = (await onAll(cluster, `cat ${SAID} 2>/dev/null; true`)).join("");
    assert.match(said, new RegExp(`uid=\\d+\\(puppet\\).*\\n${yes}\\nsubject=CN = ${yes}\\n`));
    assert.match(said, /^INSTALL_DIR=/m);
    await cluster.first.run(["understudy", "ca", "sign", no]);
    await bootstrap(cluster, no, true);
  },
);

hazard(
  "an agent's certificate is renewed: same key and names, and both are revoked by name",
  async (scene) => {
    const { cluster, undo } = scene;
    undo(async () => putBack(cluster));
    await settings(cluster);
    const certname = `yes${wallMs()}.policy.test`;
    const agent = await bootstrap(cluster, certname, true);
    const renew = `curl -sS --fail-with-body -X POST ${agent.curl} ${caUrl(cluster.first, "certificate_renewal")}`;
    const shown = "openssl x509 -noout -subject -pubkey -ext subjectAltName";
    const before = await cluster.agentHost.run(`${shown} -in ${agent.certificate}`);
    await cluster.agentHost.run(`${renew} > /tmp/renewed.pem`);
    assert.equal(await cluster.agentHost.run(`${shown} -in /tmp/renewed.pem`), before);
    const end = await cluster.agentHost.run(
      'date -d "$(openssl x509 -noout -enddate -in /tmp/renewed.pem | cut -d= -f2)" +%s',
    );
    assert.ok(Math.abs(Number(end) - wallMs() / 1000 - RENEWED_S) < DAY_S, end);

    await cluster.first.run(["understudy", "ca", "revoke", certname]);
    for (const certificate of [agent.certificate, "/tmp/renewed.pem"]) {
      const again = renew.replace(agent.certificate, certificate);
      const refused = await cluster.agentHost.exec(again);
      assert.match(refused.stdout + refused.stderr, /403/, "a revoked certificate is renewed");
    }
  },
);

/** Has every server ask the program, and renew. A daemon reads settings when it starts. */
async function settings(cluster: Cluster): Promise<void> {
  const program = `#!/bin/sh
exec >> ${SAID} 2>&1
id; echo "$1"; openssl req -noout -subject; env
case "$1" in yes*) exit 0 ;; esac
exit 1
`;
  for (const server of cluster.servers) await server.writeFile(POLICY, program, { mode: 0o755 });
  await onAll(
    cluster,
    `cp -a ${CONF} ${CONF}.lab; cp -a ${CA_CONF} ${CA_CONF}.lab
     puppet config set autosign ${POLICY} --section server
     sed -i 's/^certificate-authority: {/&\\n allow-auto-renewal: true\\n auto-renewal-cert-ttl: 60d/' ${CA_CONF}
     systemctl restart understudy`,
  );
}

async function putBack(cluster: Cluster): Promise<void> {
  await onAll(
    cluster,
    `for file in ${CONF} ${CA_CONF}; do [ ! -e $file.lab ] || mv $file.lab $file; done
     rm -f ${POLICY} ${SAID}; systemctl restart understudy`,
  );
}

async function onAll({ servers }: Cluster, script: string): Promise<string[]> {
  return Promise.all(
    servers.map(async (server) => server.run(script, { withinMs: CHANGE_MS_MAX })),
  );
}

/** Has an agent get its certificate; says where it is, and what curl needs to come as that agent. */
async function bootstrap(cluster: Cluster, certname: string, isSigned: boolean) {
  const agent = await makeAgent(cluster, certname);
  const run = await cluster.agentHost.exec(
    ["puppet", "ssl", "bootstrap", "--confdir", `/srv/agents/${certname}`, "--waitforcert", "0"],
    { withinMs: BOOTSTRAP_MS_MAX },
  );
  assert.equal(run.code === 0, isSigned, `${certname}: ${run.stdout}${run.stderr}`);
  const ssl = `/srv/agents/${agent.certname}/ssl`;
  const certificate = `${ssl}/certs/${certname}.pem`;
  const key = `${ssl}/private_keys/${certname}.pem`;
  return { certificate, curl: `--cacert ${ssl}/certs/ca.pem --cert ${certificate} --key ${key}` };
}
