// What a PuppetDB answers about an entity, made into the command that brings it to another: as
// PuppetDB's own export does it. Pure. Danger: PuppetDB's hashes are of the text, so numbers keep
// their spelling, and a resource has no file or line rather than a null.

import { z } from "zod";
import { messageOf } from "../../base/fault.ts";
import type { CommandHead } from "../command.ts";
import { parseLossless, renderLossless } from "./lossless.ts";

/** What is brought as a whole row of an answer. */
export type RowKind = "catalog" | "facts" | "inputs" | "report";

/** A command of the sync's own, ready to be sent. */
export interface SyncCommand {
  head: CommandHead;
  body: Buffer;
}

const Data = <T extends z.ZodType>(item: T) =>
  // Without any, PuppetDB says null.
  z.object({ data: z.array(item).nullish() }).transform(({ data }) => data ?? []);

const Base = z.looseObject({ certname: z.string(), producer_timestamp: z.string() });
const Catalog = Base.extend({
  edges: Data(z.looseObject({})),
  resources: Data(z.looseObject({ file: z.unknown(), line: z.unknown() })),
});
const Facts = Base.extend({ facts: Data(z.object({ name: z.string(), value: z.unknown() })) });
const Report = Base.extend({
  metrics: Data(z.unknown()),
  logs: Data(z.unknown()),
  resource_events: Data(z.looseObject({ status: z.unknown() })),
});
type Row = Record<string, unknown>;

/** Fields that go over as they are; a PuppetDB refuses a report with others. */
const CATALOG_FIELDS = words(`certname version environment transaction_uuid catalog_uuid code_id
  job_id producer_timestamp producer`);
const RESOURCE_FIELDS = words("type title exported tags parameters");
const FACTS_FIELDS = words("certname environment producer_timestamp producer");
const INPUTS_FIELDS = words("certname producer_timestamp catalog_uuid inputs");
const REPORT_FIELDS = words(`certname puppet_version report_format configuration_version start_time
  end_time producer_timestamp producer environment status noop noop_pending corrective_change
  transaction_uuid catalog_uuid code_id job_id cached_catalog_status type`);
const EVENT_RESOURCE_FIELDS = words(`file line timestamp resource_type resource_title
  containment_path`);
const EVENT_FIELDS = words(`status timestamp property old_value new_value message name
  corrective_change`);

const COMMANDS = {
  catalog: { name: "replace_catalog", version: 9, make: catalogOf },
  facts: { name: "replace_facts", version: 5, make: factsOf },
  inputs: {
    name: "replace_catalog_inputs",
    version: 1,
    make: (row: Row) => pick(row, INPUTS_FIELDS),
  },
  report: { name: "store_report", version: 8, make: reportOf },
} as const;

/**
 * The command that brings the entity of the row `text`, or why there is none. `name`: its certname,
 * of a report its hash. Throws where the row is none of PuppetDB's.
 */
export function commandOfRow(
  kind: RowKind,
  text: string,
): { name: string } & (SyncCommand | { because: string }) {
  const { name: command, version, make } = COMMANDS[kind];
  const row = Base.parse(parseLossless(text));
  const name = kind === "report" ? String(row["hash"]) : row.certname;
  try {
    return { name, ...render(kind, { name: command, version }, row, make(row)) };
  } catch (error) {
    return { name, because: `it isn't understood: ${messageOf(error).slice(0, 200)}` };
  }
}

/** The command that deactivates a node as of `at`, ISO 8601. */
export function deactivation(certname: string, at: string): SyncCommand {
  const body = { certname, producer_timestamp: at };
  return render("deactivation", { name: "deactivate_node", version: 3 }, body, body);
}

/**
 * The command that makes a node that has expired appear again: what it says is PuppetDB's own
 * default, but PuppetDB takes it for a sign of life.
 */
export function revival(certname: string, at: string): SyncCommand {
  const body = { certname, expire: { facts: true }, producer_timestamp: at };
  return render("expiration", { name: "configure_expiration", version: 1 }, body, body);
}

function catalogOf(row: Row): Row {
  const { edges, resources } = Catalog.parse(row);
  return {
    ...pick(row, CATALOG_FIELDS),
    edges: edges.map((edge) => ({
      source: { type: edge["source_type"], title: edge["source_title"] },
      target: { type: edge["target_type"], title: edge["target_title"] },
      relationship: edge["relationship"],
    })),
    resources: resources.map((resource) => ({
      ...pick(resource, RESOURCE_FIELDS),
      ...pick(
        resource,
        ["file", "line"].filter((field) => (resource[field] ?? null) !== null),
      ),
    })),
  };
}

function factsOf(row: Row): Row {
  const { facts } = Facts.parse(row);
  const packages = row["package_inventory"];
  return {
    ...pick(row, FACTS_FIELDS),
    values: Object.fromEntries(facts.map(({ name, value }) => [name, value])),
    ...(Array.isArray(packages) && packages.length > 0 ? { package_inventory: packages } : {}),
  };
}

function reportOf(row: Row): Row {
  const { metrics, logs, resource_events: events } = Report.parse(row);
  const resources = new Map<string, Row & { events: Row[] }>();
  for (const event of events) {
    const own = pick(event, EVENT_RESOURCE_FIELDS);
    const skipped = event.status === "skipped";
    const key = renderLossless([EVENT_RESOURCE_FIELDS.map((field) => own[field]), skipped]);
    const resource = resources.get(key) ?? { ...own, skipped, corrective_change: null, events: [] };
    resource.events.push(pick(event, EVENT_FIELDS));
    resources.set(key, resource);
  }
  return { ...pick(row, REPORT_FIELDS), metrics, logs, resources: [...resources.values()] };
}

function words(text: string): string[] {
  return text.split(/\s+/);
}

/** Those of `fields` that `row` has. */
function pick(row: Row, fields: readonly string[]): Row {
  return Object.fromEntries(
    fields.filter((field) => Object.hasOwn(row, field)).map((field) => [field, row[field]]),
  );
}

function render(
  kind: CommandHead["kind"],
  command: { name: string; version: number },
  of: { certname: string; producer_timestamp: string },
  body: Row,
): SyncCommand {
  const { certname, producer_timestamp: at } = of;
  const producerMs = Date.parse(at);
  if (Number.isNaN(producerMs)) throw new RangeError(`${at.slice(0, 50)} is no time`);
  const query = [
    `command=${command.name}&version=${command.version}`,
    `certname=${encodeURIComponent(certname)}`,
    `producer-timestamp=${encodeURIComponent(at)}`,
  ].join("&");
  const head = { kind, certname, producerMs, query };
  return { head, body: Buffer.from(renderLossless(body)) };
}
