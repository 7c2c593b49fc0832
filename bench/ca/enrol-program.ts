// Started by enrolment.ts in the network of an agents' host: enrols one new name after the other on
// each of some kept-alive connections, as fast as it is answered. All requests (one RSA 2048 key)
// are made before. Input: an EnrolLoad as JSON. Output: an EnrolSlice as JSON.

import { text } from "node:stream/consumers";
import { messageOf } from "../../src/base/fault.ts";
import { monotonicMs } from "../../src/host/clock.ts";
import { generateRsaKey } from "../../src/x509/keys.ts";
import { createRequest } from "../../src/x509/request.ts";
import { readUsage } from "../processes.ts";
import { Connection } from "./connection.ts";
import { EnrolLoad, type EnrolSlice } from "./enrol-plan.ts";

const load = EnrolLoad.parse(JSON.parse(await text(process.stdin)));
const key = await generateRsaKey(2048);
const requests = Array.from({ length: load.requestsMax }, (_, index) => {
  const certname = `${load.prefix}-${index + 1}.auto.lab.test`;
  return { certname, pem: createRequest({ commonName: certname, key }) };
});
process.stdout.write(JSON.stringify(await runSlice()));

async function runSlice(): Promise<EnrolSlice> {
  const seen = { enrolled: 0, errors: 0, error: "", latenciesMs: [] as number[] };
  const before = cpuNow();
  const begun = monotonicMs();
  const enrolOnOne = async (_: unknown, index: number) => {
    const door = load.doors[index % load.doors.length];
    if (door === undefined) return;
    const connection = new Connection(door, load.ca);
    try {
      while (monotonicMs() - begun < load.ms) {
        const next = requests.pop();
        if (next === undefined) return;
        const sent = monotonicMs();
        await enrol(connection, next);
        seen.latenciesMs.push(monotonicMs() - sent);
        seen.enrolled += 1;
      }
    } catch (error) {
      seen.errors += 1;
      seen.error ||= messageOf(error);
    } finally {
      connection.close();
    }
  };
  await Promise.all(Array.from({ length: load.connections }, enrolOnOne));
  const ms = monotonicMs() - begun;
  const cpuMs = Object.fromEntries(
    Object.entries(cpuNow()).map(([name, value]) => [name, value - (before[name] ?? 0)]),
  );
  return { connections: load.connections, ms, ...seen, cpuMs };
}

function cpuNow(): Record<string, number> {
  return Object.fromEntries(
    Object.entries(load.processes).map(([name, pids]) => [name, readUsage(pids).cpuMs]),
  );
}

async function enrol(connection: Connection, one: { certname: string; pem: string }) {
  const { certname, pem } = one;
  const put = await connection.send("PUT", `/puppet-ca/v1/certificate_request/${certname}`, pem);
  if (put.status !== 200) throw new Error(`request refused with ${put.status}: ${put.body}`);
  const got = await connection.send("GET", `/puppet-ca/v1/certificate/${certname}`);
  if (got.status === 200 && got.body.startsWith("-----BEGIN CERTIFICATE-----")) return;
  throw new Error(`no certificate for ${certname}: ${got.status}: ${got.body.slice(0, 200)}`);
}
