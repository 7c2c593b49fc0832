// Started in the network of an agents' host: sends facts or queries to one door, as fast as they
// are answered. Input: a Load as JSON. Output: a Slice as JSON.

import { Agent, request } from "node:https";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { messageOf } from "../../src/base/fault.ts";
import { monotonicMs, wallMs } from "../../src/host/clock.ts";
import { type Door, Load, type Slice } from "./load-plan.ts";

/** About what Facter tells of a server: 20 kB. */
const FACTS = 400;
const ANSWER_MS_MAX = 120_000;

interface Sent {
  method: "GET" | "POST";
  path: string;
  headers: Record<string, string>;
  body?: Buffer;
}

const load = Load.parse(JSON.parse(await text(process.stdin)));
const { what } = load;
/**
 * The last one is sent first. Each slice is of the same nodes, whose facts are stored anew sooner
 * than for the first time; but none twice in a slice, since PuppetDB parks for an hour what is
 * overtaken in its queue.
 */
const requests = Array.from({ length: load.requestsMax }, (_, index) =>
  what === "facts" ? factsOf(`node${index}.lab.test`) : queryOf(what.query),
).reverse();
process.stdout.write(JSON.stringify(await runSlice()));

async function runSlice(): Promise<Slice> {
  const seen = { latenciesMs: [] as number[], errors: 0, error: "" };
  const keepAlive = what !== "facts";
  const begun = monotonicMs();
  const one = async () => {
    const agent = new Agent({ keepAlive, maxSockets: 1 });
    try {
      while (monotonicMs() - begun < load.ms) {
        const next = requests.pop();
        if (next === undefined) return;
        const sent = monotonicMs();
        await send(load.door, agent, next);
        seen.latenciesMs.push(monotonicMs() - sent);
      }
    } catch (error) {
      seen.errors += 1;
      seen.error ||= messageOf(error);
    } finally {
      agent.destroy();
    }
  };
  await Promise.all(Array.from({ length: load.connections }, one));
  return { ms: monotonicMs() - begun, ...seen };
}

function factsOf(certname: string): Sent {
  const at = new Date(wallMs()).toISOString();
  const values = Object.fromEntries(
    Array.from({ length: FACTS }, (_, index) => [`fact_${index}`, `${certname} says ${index * 7}`]),
  );
  const plain = JSON.stringify({
    certname,
    environment: "production",
    producer_timestamp: at,
    producer: "s1.lab.test",
    values,
  });
  return {
    method: "POST",
    path: `/pdb/cmd/v1?command=replace_facts&version=5&certname=${certname}&producer-timestamp=${at}`,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "content-encoding": "gzip",
      "x-uncompressed-length": String(Buffer.byteLength(plain)),
    },
    body: gzipSync(plain),
  };
}

function queryOf(path: string): Sent {
  return { method: "GET", path, headers: {} };
}

async function send(door: Door, agent: Agent, { method, path, headers, body }: Sent) {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const { address: host, port, serverName: servername, ca, certificate: cert, key } = door;
  const tls = { servername, ca, cert, key };
  const length = body === undefined ? {} : { "content-length": String(body.length) };
  const accept = { accept: "application/json", host: servername };
  const all = { ...accept, ...headers, ...length };
  const options = { ...tls, agent, host, port, method, path, headers: all };
  const outgoing = request({ ...options, timeout: ANSWER_MS_MAX }, (answer) => {
    let said = "";
    answer.setEncoding("utf8").on("data", (piece: string) => (said += piece));
    answer.on("error", reject);
    answer.on("end", () => {
      if (answer.statusCode === 200) resolve();
      else reject(new Error(`${answer.statusCode}: ${said.slice(0, 300)}`));
    });
  });
  outgoing.on("timeout", () => outgoing.destroy(new Error(`${path}: no answer`)));
  outgoing.on("error", reject);
  outgoing.end(body);
  return promise;
}
