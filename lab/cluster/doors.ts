// What comes in through the doors: identities that are claimed in headers, certificates that belong
// elsewhere, requests of any size, and garbage. Each check needs a whole cluster and leaves it as
// it is.

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Agent } from "../agents.ts";
import type { LabHost } from "../host.ts";
import { type Answer, identityOf, knock } from "./knock.ts";
import { lives } from "./lives.ts";
import type { Scene } from "./scenario.ts";

const GARBAGE = join(import.meta.dirname, "garbage-program.ts");
const GARBAGE_MS_MAX = 120_000;
const EDGE_PORT = 8140;
const INNER_PORTS = [8141, 8142, 9140, 9141, 9142];
const UNITS = [
  "understudy",
  "understudy-etcd",
  "understudy-edge",
  "understudy-vip",
  "puppetserver",
];
const KiB = 1024;
/** Around the replay buffer of 1 MiB, and far above it. */
const SIZES = [700 * KiB, 1000 * KiB, 1024 * KiB, 1100 * KiB, 5 * 1024 * KiB];

/** Header names that some server between here and there might take for X-Client-NAME. */
function spellings(name: string): string[] {
  const dashed = `X-Client-${name}`;
  return [
    dashed,
    dashed.toUpperCase(),
    dashed.toLowerCase(),
    dashed.replaceAll("-", "_"),
    `X_Client-${name}`,
    `X-Client_${name}`,
    `X--Client-${name}`,
    `x-client--${name}`,
    `X-Client-${name} `,
    ` X-Client-${name}`,
    `X-Client-${name}\t`,
    `HTTP_X_CLIENT_${name.toUpperCase()}`,
  ];
}

/**
 * Sends facts and reports around and above the size of the replay buffer, with a length and
 * without.
 */
export async function assertLargeServed({ cluster, report }: Scene, agent: Agent): Promise<void> {
  const { certname } = agent;
  const identity = identityOf(agent);
  const base = `https://${cluster.sharedName}:${EDGE_PORT}/puppet/v3`;
  const outcomes: string[] = [];
  const send = async (path: string, value: unknown, chunked: boolean) => {
    const body = JSON.stringify(value);
    const headers = ["Content-Type: application/json", "Accept: application/json"];
    const url = `${base}/${path}/${certname}?environment=production`;
    const options = { identity, method: "PUT", headers, body, chunked };
    const answer = await knock(cluster.agentHost, url, options);
    const what = `${path} of ${body.length} bytes${chunked ? " in chunks" : ""}`;
    outcomes.push(`${what}: ${answer.status || answer.because}`);
  };
  for (const size of SIZES) {
    await send("facts", factsOf(certname, size), false);
    await send("facts", factsOf(certname, size), true);
  }
  await send("report", reportOf(certname, 5 * 1024 * KiB), false);
  assert.deepEqual(
    outcomes.filter((outcome) => !outcome.endsWith(": 200")),
    [],
  );
  report(`${outcomes.length} requests of up to 5 MiB served`);
}

function factsOf(name: string, bytes: number) {
  const piece = "x".repeat(1000);
  const facts = Array.from({ length: Math.ceil(bytes / 1014) }, (_, index) => [`f${index}`, piece]);
  const expiration = new Date(Date.now() + 3_600_000).toISOString();
  const timestamp = new Date().toISOString();
  return { name, values: Object.fromEntries(facts), timestamp, expiration };
}

function reportOf(host: string, bytes: number) {
  const time = new Date().toISOString();
  const message = "m".repeat(1000);
  const log = {
    level: "notice",
    message,
    source: "Puppet",
    tags: [],
    time,
    file: null,
    line: null,
  };
  return {
    host,
    time,
    configuration_version: 1,
    transaction_uuid: "00000000-0000-4000-8000-000000000000",
    report_format: 12,
    puppet_version: "7.23.0",
    status: "unchanged",
    transaction_completed: true,
    noop: false,
    noop_pending: false,
    environment: "production",
    logs: Array.from({ length: Math.ceil(bytes / 1100) }, () => log),
    metrics: {},
    resource_statuses: {},
    corrective_change: false,
  };
}

/** Claims to be somebody else in headers of every spelling, with a certificate and without. */
export async function assertHeadersIgnored(
  { cluster, report }: Scene,
  agent: Agent,
  other: Agent,
): Promise<void> {
  const host = cluster.agentHost;
  const url = (path: string) => `https://${cluster.sharedName}:${EDGE_PORT}${path}`;
  const node = (certname: string) => url(`/puppet/v3/node/${certname}?environment=production`);
  const statuses = url("/puppet-ca/v1/certificate_statuses/any");
  const admin = cluster.first.fqdn;
  const pem = await cluster.first.run(`cat $(puppet config print hostcert)`);
  const claims = (certname: string, certificate: string) => [
    ...spellings("DN").map((name) => `${name}: CN=${certname}`),
    ...spellings("Verify").map((name) => `${name}: SUCCESS`),
    ...spellings("Cert").map((name) => `${name}: ${encodeURIComponent(certificate)}`),
  ];
  const otherPem = await host.readFile(identityOf(other).certificate);
  const own = await knock(host, node(agent.certname), { identity: identityOf(agent) });
  assert.equal(own.status, 200, `the agent's own node: ${own.body} ${own.because}`);

  const forged: { what: string; answer: Answer }[] = [];
  const forge = async (what: string, target: string, headers: string[], by?: Agent) => {
    const identity = by === undefined ? {} : { identity: identityOf(by) };
    forged.push({ what, answer: await knock(host, target, { headers, ...identity }) });
  };
  const asOther = claims(other.certname, otherPem);
  const asAdmin = claims(admin, pem);
  for (const by of [undefined, agent]) {
    const who = by === undefined ? "a stranger" : "an agent";
    // A name with a blank spoils the whole request, so each is sent alone as well as the plain ones
    // together.
    for (const header of asOther)
      await forge(`${who}: ${header.slice(0, 40)}`, node(other.certname), [header], by);
    const plain = (header: string) => /^[\w-]+:/.test(header);
    await forge(`${who} with all at once`, node(other.certname), asOther.filter(plain), by);
    await forge(`${who} as administrator`, statuses, asAdmin.filter(plain), by);
  }
  const let_in = forged.filter(({ answer }) => answer.status < 400 && answer.status !== 0);
  assert.deepEqual(let_in, []);
  const again = await knock(host, node(agent.certname), {
    identity: identityOf(agent),
    headers: asOther.filter((header) => /^[\w-]+:/.test(header)),
  });
  assert.equal(again.status, 200, "forged headers don't keep an agent from its own node either");
  report(`${forged.length} forged requests refused`);
}

/** Knocks at the ports that are for members only, with what must not open them. */
export async function assertDoorsShut({ cluster, report }: Scene, agent: Agent): Promise<void> {
  const opened: string[] = [];
  let tried = 0;
  const tryDoor = async (
    who: string,
    from: LabHost,
    server: LabHost,
    port: number,
    identity?: { certificate: string; key: string },
  ) => {
    for (const [path, method] of pathsOf(port)) {
      const options = {
        method,
        ...(identity && { identity }),
        ...(method === "POST" && { body: "{}" }),
      };
      const answer = await knock(from, `https://${server.fqdn}:${port}${path}`, options);
      tried += 1;
      // An answer in HTTP is all right on the control API alone, where a joiner comes without a
      // certificate.
      const refused = answer.status === 0 || (port === 9140 && answer.status === 403);
      if (!refused)
        opened.push(`${who}: ${port}${path} of ${server.name}: ${answer.status} ${answer.body}`);
    }
  };
  const edge = "/var/lib/understudy/pki/edge/edge.pem";
  const edgeKey = { certificate: edge, key: edge };
  for (const server of cluster.servers) {
    // The same key at the door that it is made for: else the knocks below would prove nothing.
    const right = await knock(cluster.first, `https://${server.fqdn}:8141/status/v1/simple`, {
      identity: edgeKey,
    });
    assert.equal(right.status, 200, right.because);
    for (const port of INNER_PORTS) {
      await tryDoor("nobody", cluster.agentHost, server, port);
      await tryDoor("an agent", cluster.agentHost, server, port, identityOf(agent));
    }
    for (const port of [9140, 9141, 9142]) {
      await tryDoor("HAProxy's key", cluster.first, server, port, edgeKey);
    }
  }
  assert.deepEqual(opened, []);
  report(`${tried} knocks, none let in`);
}

function pathsOf(port: number): [string, "GET" | "POST"][] {
  if (port === 8141)
    return [
      ["/status/v1/simple", "GET"],
      ["/puppet/v3/environments", "GET"],
    ];
  if (port === 8142) return [["/puppet-ca/v1/certificate_statuses/any", "GET"]];
  if (port === 9140)
    return [
      ["/v1/local", "GET"],
      ["/v1/edge/refuse", "POST"],
      ["/v1/join/keys", "POST"],
    ];
  if (port === 9141)
    return [
      ["/v3/kv/range", "POST"],
      ["/health", "GET"],
      ["/metrics", "GET"],
    ];
  return [
    ["/members", "GET"],
    ["/version", "GET"],
  ];
}

/** Throws garbage at every port of every server; no unit may have ended for it. */
export async function throwGarbage({ cluster, report }: Scene): Promise<void> {
  const before = await allLives(cluster.servers);
  const said: string[] = [];
  for (const server of cluster.servers) {
    for (const port of [EDGE_PORT, ...INNER_PORTS]) {
      const argv = [process.execPath, GARBAGE, server.address, `${port}`];
      const host = cluster.agentHost.name;
      const thrown = await cluster.lab.fromNetwork(argv, { host, withinMs: GARBAGE_MS_MAX });
      assert.ok(thrown.ok, `${server.name}:${port}: ${thrown.stderr}`);
      said.push(thrown.stdout.trim());
    }
  }
  assert.deepEqual(await allLives(cluster.servers), before);
  report(`${said.length} ports, ${said[0]} each`);
}

async function allLives(servers: readonly LabHost[]): Promise<string[]> {
  const found: string[] = [];
  for (const server of servers) {
    for (const unit of UNITS) found.push(`${server.name} ${unit} ${await lives(server, unit)}`);
  }
  return found;
}
