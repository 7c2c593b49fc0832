// What scenarios ask a server's courier, and what they send it.

import { wallMs } from "../../src/host/clock.ts";
import type { LabHost } from "../host.ts";
import { statusOf } from "./commands.ts";

const STATUS_MS_MAX = 20_000;

/** Lines of PuppetDBs that aren't fit, as the daemon of `server` tells. */
export async function unfit(server: LabHost): Promise<string[]> {
  const { members } = await statusOf(server, STATUS_MS_MAX);
  const { courier } = members.find(({ member }) => member.id === server.fqdn)?.local ?? {};
  if (courier?.runs !== true) return ["the courier doesn't run"];
  return courier.puppetdbs.filter(({ fit }) => !fit).map(({ id, because }) => `${id}: ${because}`);
}

/** A query for the facts of `certname`: one row where there are some. */
export function factsOf(certname: string): unknown {
  return ["from", "factsets", ["extract", ["certname"], ["=", "certname", certname]]];
}

/** Sends facts to the courier of `server` as its puppetserver does; returns the status code. */
export async function postFacts(server: LabHost, certname: string): Promise<string> {
  const at = new Date(wallMs()).toISOString();
  const body = JSON.stringify({
    certname,
    environment: "production",
    producer_timestamp: at,
    producer: server.fqdn,
    values: { lost: true },
  });
  const query = `command=replace_facts&version=5&certname=${certname}&producer-timestamp=${at}`;
  return post(server, `/pdb/cmd/v1?${query}`, body);
}

/** Sends `body` to the courier of `server` with that server's certificate; the status code. */
export async function post(server: LabHost, path: string, body: string): Promise<string> {
  const said = await curlCourier(server, path, "-o /dev/null -w '%{http_code}' --data-binary @-", {
    input: body,
  });
  return said.trim();
}

/** What curl prints that asks the courier of `server` with that server's certificate. */
export async function curlCourier(
  server: LabHost,
  path: string,
  more: string,
  options: { input?: string; withinMs?: number } = {},
): Promise<string> {
  const pki = "/var/lib/puppet/ssl";
  const script = `curl -sS ${more} \\
    --cert $(puppet config print hostcert) --key $(puppet config print hostprivkey) \\
    --cacert $(puppet config print localcacert || echo ${pki}/certs/ca.pem) \\
    -H 'content-type: application/json' 'https://${server.fqdn}:8081${path}'`;
  return server.run(["bash", "-c", script], options);
}
