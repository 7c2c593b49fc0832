// Started by rebuild.ts in the network of a PuppetDB: sends it a catalog, facts and a report of
// each of some nodes, as fast as it takes them, and waits until it has stored all. Arguments: its
// base URL, how many nodes. Output: the milliseconds that took.

import { randomUUID } from "node:crypto";
import { messageOf } from "../../src/base/fault.ts";
import { pause } from "../../src/base/retry.ts";
import { isoTime, monotonicMs, wallMs } from "../../src/host/clock.ts";

/** As many as PuppetDB has room for without making senders wait. */
const AT_ONCE = 8;
const LOOK_MS = 100;
/** About what a small server has: 20 kB of facts, 40 resources, 5 of them changed. */
const FACTS = 400;
const RESOURCES = 40;
const CHANGED = 5;

const [url = "", count = "0"] = process.argv.slice(2);
const nodes = Array.from({ length: Number(count) }, (_, index) => `node${index}.lab.test`);
const begun = monotonicMs();
const work = nodes.flatMap((certname) => commandsOf(certname, isoTime(wallMs())));
await Promise.all(Array.from({ length: AT_ONCE }, sendSome));
for (const entity of ["catalogs", "factsets", "reports"]) {
  while ((await countOf(entity)) < nodes.length) await pause(LOOK_MS);
}
process.stdout.write(String(monotonicMs() - begun));

async function sendSome(): Promise<void> {
  for (let next = work.pop(); next !== undefined; next = work.pop()) {
    const headers = { "content-type": "application/json" };
    const { query, body } = next;
    const answer = await fetch(`${url}/pdb/cmd/v1?${query}`, { method: "POST", headers, body });
    const said = await answer.text();
    if (!answer.ok) throw new Error(`${answer.status}: ${messageOf(said)}`);
  }
}

async function countOf(entity: string): Promise<number> {
  const query = JSON.stringify(["from", entity, ["extract", [["function", "count"]]]]);
  const answer = await fetch(`${url}/pdb/query/v4?query=${encodeURIComponent(query)}`);
  const [row] = (await answer.json()) as { count: number }[];
  return row?.count ?? 0;
}

function commandsOf(certname: string, at: string): { query: string; body: string }[] {
  const head = { certname, producer_timestamp: at, producer: "s1.lab.test" };
  const run = { environment: "production", transaction_uuid: randomUUID(), code_id: null };
  const uuids = { catalog_uuid: randomUUID(), job_id: null };
  const titles = Array.from({ length: RESOURCES }, (_, index) => `/srv/${certname}/${index}`);
  const values = Object.fromEntries(
    Array.from({ length: FACTS }, (_, index) => [`fact_${index}`, `${certname} says ${index * 7}`]),
  );
  const main = { type: "Class", title: "Main" };
  const catalog = {
    ...head,
    ...run,
    ...uuids,
    version: at,
    edges: titles.map((title) => ({
      source: main,
      target: { type: "File", title },
      relationship: "contains",
    })),
    resources: [
      { ...main, exported: false, tags: ["class", "main"], parameters: {} },
      ...titles.map((title, line) => ({
        type: "File",
        title,
        exported: false,
        tags: ["file"],
        file: "/etc/puppet/code/site.pp",
        line,
        parameters: { ensure: "file", mode: "0644", content: `${certname} ${title}` },
      })),
    ],
  };
  const report = {
    ...head,
    ...run,
    ...uuids,
    puppet_version: "7.23.0",
    report_format: 12,
    configuration_version: at,
    start_time: at,
    end_time: at,
    status: "changed",
    noop: false,
    noop_pending: false,
    corrective_change: false,
    cached_catalog_status: "not_used",
    metrics: [{ category: "time", name: "total", value: 1.5 }],
    logs: [],
    resources: titles.slice(0, CHANGED).map((title, line) => ({
      skipped: false,
      timestamp: at,
      resource_type: "File",
      resource_title: title,
      file: "/etc/puppet/code/site.pp",
      line,
      containment_path: ["Stage[main]", `File[${title}]`],
      corrective_change: false,
      events: [
        {
          status: "success",
          timestamp: at,
          property: "content",
          name: "content_changed",
          message: "changed",
          old_value: "a",
          new_value: "b",
          corrective_change: false,
        },
      ],
    })),
  };
  const facts = { ...head, environment: "production", values };
  const command = (name: string, version: number, payload: unknown) => ({
    query: `command=${name}&version=${version}&certname=${certname}&producer-timestamp=${at}`,
    body: JSON.stringify(payload),
  });
  return [
    command("store_report", 8, report),
    command("replace_catalog", 9, catalog),
    command("replace_facts", 5, facts),
  ];
}
