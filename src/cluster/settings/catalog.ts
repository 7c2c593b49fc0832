// The settings that people may change: what each is, in which form it is typed, and which values
// would break something. Pure, and the only list: what isn't in it is changed by other commands.

import { isIPv6 } from "node:net";
import type { z } from "zod";
import { parseDuration, renderDuration } from "../../base/duration.ts";
import { Fault } from "../../base/fault.ts";
import { isEverIn } from "../drill-times.ts";
import { AltName, DrillPlanned, type Member, ReportReceiver, Settings } from "../schema.ts";

/** A node that is silent for less than this runs as ever: half an hour is Puppet's run interval. */
const NODE_TTL_S_MIN = 3600;
/** A catalog takes a puppetserver's time: one in ten seconds of each server is enough to tell. */
const PROBE_S_MIN = 10;

/** One setting, as people know it. */
interface Described {
  what: string;
  /** How it is typed. */
  form: string;
  /** How it is in JSON, where that is something else. */
  json?: string;
  /** What was typed, as the record has it; the schema judges it. */
  read(words: readonly string[]): unknown;
  render(value: unknown): string;
}

const one: Pick<Described, "read" | "render"> = {
  read: (words) => words.join(" "),
  render: (value) => String(value),
};
const many: Pick<Described, "read" | "render"> = {
  read: (words) => words.flatMap((word) => word.split(",")).filter((word) => word !== ""),
  render: (value) => (Array.isArray(value) && value.length > 0 ? value.join(" ") : "none"),
};

export const CATALOG = {
  otherNames: {
    what: "further names and addresses that agents call servers by",
    form: "names, addresses",
    ...many,
  },
  virtualIps: {
    what: "addresses that a server holds for agents",
    form: "ADDRESS/PREFIX, several",
    ...many,
  },
  acceptProxyFrom: {
    what: "balancers whose connections start with a PROXY protocol header",
    form: "addresses, networks",
    ...many,
  },
  isolatedEdge: {
    what: "what a booting edge does that reaches nobody: takes agents with the revocations it has, or waits",
    form: "serve or refuse",
    ...one,
  },
  voters: {
    what: "how many servers vote in etcd",
    form: "1, 3 or 5",
    read: (words) => Number(words.join(" ")),
    render: one.render,
  },
  puppetdbClients: {
    what: "certnames that may use PuppetDB besides the members'",
    form: "certnames",
    json: '["NAME"]',
    ...many,
  },
  puppetdbNodeTtlS: {
    what: "how long a node may be silent before PuppetDB deactivates it",
    form: "a duration, 0 for ever",
    json: "seconds, 0 for ever",
    read: (words) => parseDuration(words.join("")),
    render: (value) => (Number(value) === 0 ? "for ever" : renderDuration(Number(value))),
  },
  reportReceivers: {
    what: "where couriers send reports besides",
    form: "NAME=URL, several",
    json: '[{"name": "NAME", "url": "URL"}]',
    read: (words) =>
      words.map((word) => ({
        name: word.slice(0, Math.max(0, word.indexOf("="))),
        url: word.slice(word.indexOf("=") + 1),
      })),
    render: (value) => {
      const all = ReportReceiver.array().safeParse(value);
      return many.render((all.data ?? []).map(({ name, url }) => `${name}=${url}`));
    },
  },
  probeEveryS: {
    what: "how often every server asks for a catalog as an agent would, to measure that",
    form: "a duration, 0 for never",
    json: "seconds, 0 for never",
    read: (words) => parseDuration(words.join("")),
    render: (value) => (Number(value) === 0 ? "never" : renderDuration(Number(value))),
  },
  drills: {
    what: "drills that are held by themselves; times are UTC",
    form: '"KIND=DAY HH:MM", several',
    json: '[{"kind": "KIND", "when": "DAY HH:MM"}]',
    read: (words) =>
      words
        .flatMap((word) => word.split(","))
        .filter((word) => word.trim() !== "")
        .map((word) => ({
          kind: word.slice(0, Math.max(0, word.indexOf("="))).trim(),
          when: word.slice(word.indexOf("=") + 1).trim(),
        })),
    render: (value) => {
      const all = DrillPlanned.array().safeParse(value);
      const texts = (all.data ?? []).map(({ kind, when }) => `${kind}=${when}`);
      return texts.length === 0 ? "none" : texts.join(", ");
    },
  },
  drillWindows: {
    what: "when drills may be held at all; times are UTC",
    form: '"DAY-DAY HH:MM-HH:MM", several; none: at any time',
    json: '["DAY-DAY HH:MM-HH:MM"]; []: at any time',
    read: (words) =>
      words
        .flatMap((word) => word.split(","))
        .map((word) => word.trim())
        .filter((word) => word !== ""),
    render: (value) =>
      Array.isArray(value) && value.length > 0 ? value.join(", ") : "at any time",
  },
} satisfies Partial<Record<keyof Settings, Described>>;

export type SettingKey = keyof typeof CATALOG;
export const SETTING_KEYS = Object.keys(CATALOG) as SettingKey[];

/** What people see and edit. */
export type Editable = Pick<Settings, SettingKey>;

/** How `key` is written in JSON. */
export function jsonForm(key: SettingKey): string {
  const { form, json = form }: Described = CATALOG[key];
  return json;
}

/** Each setting that may be changed, with what it is and its value in words. */
export function describeSettings(
  settings: Settings,
): { key: SettingKey; what: string; form: string; value: string }[] {
  return SETTING_KEYS.map((key) => {
    const { what, form } = CATALOG[key];
    return { key, what, form, value: renderSetting(key, settings[key]) };
  });
}

/** What may be edited of all settings. */
export function editableOf(settings: Settings): Editable {
  const entries = SETTING_KEYS.map((key) => [key, settings[key]] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Editable;
}

/** What `key` is without anybody's word. */
export function defaultOf(key: SettingKey): unknown {
  const parsed = Settings.shape[key].safeParse(undefined);
  return parsed.success ? parsed.data : undefined;
}

/** Whether `key` is one. Throws Fault `config.unknown`, with what it may be. */
export function requireKey(key: string): SettingKey {
  const found = SETTING_KEYS.find((each) => each === key);
  if (found !== undefined) return found;
  const near = SETTING_KEYS.find((each) => each.toLowerCase() === key.toLowerCase());
  const way = OTHER_WAYS[key];
  throw new Fault("config.unknown", `"${key}" is no setting that can be changed here`, {
    hints: [
      ...(near === undefined ? [] : [`Is it ${near}?`]),
      ...(way === undefined ? [] : [way]),
      `There are: ${SETTING_KEYS.join(", ")}`,
    ],
  });
}

/** How what isn't in the catalogue is changed. */
const OTHER_WAYS: Record<string, string> = {
  sharedName: "It is in every certificate and on every agent: it can't be changed.",
  puppetdbUse: "It is an order: understudy puppetdb use SERVER",
  alertChannels: "It has secrets of its own: understudy alerts mail, webhook, remove",
  failedRunsEveryS: "Its command: understudy alerts failed-runs",
  api: "Its commands: understudy api listen, off",
};

/**
 * All settings with `wish` in place of what may be edited. Throws Fault `config.unknown`,
 * `config.refused` with every rule that is broken. `members`: as they are.
 */
export function withWish(
  before: Settings,
  wish: Readonly<Record<string, unknown>>,
  members: readonly Member[],
): Settings {
  for (const key of Object.keys(wish)) requireKey(key);
  const rest = Object.fromEntries(
    Object.entries(before).filter(([key]) => !Object.hasOwn(CATALOG, key)),
  );
  const parsed = Settings.safeParse({ ...rest, ...wish });
  const broken = parsed.success
    ? [...brokenNames(before, parsed.data), ...brokenRules(parsed.data, members)]
    : describe(parsed.error);
  if (!parsed.success || broken.length > 0) {
    throw new Fault("config.refused", `nothing was changed: ${broken[0] ?? "not understood"}`, {
      hints: broken.slice(1),
    });
  }
  return parsed.data;
}

/** Names that no certificate should have; those of a primary that was taken over stay. */
function brokenNames(before: Settings, { otherNames }: Settings): string[] {
  return otherNames
    .filter((name) => !before.otherNames.includes(name))
    .flatMap((name) => {
      const [issue] = AltName.safeParse(name).error?.issues ?? [];
      return issue === undefined ? [] : [`otherNames: "${name}": ${issue.message}`];
    });
}

/** What would break something, each with its rule. */
function brokenRules(settings: Settings, members: readonly Member[]): string[] {
  const { virtualIps, acceptProxyFrom, otherNames, puppetdbNodeTtlS = 0 } = settings;
  const addresses = virtualIps.map((vip) => vip.split("/")[0] ?? vip);
  const own = new Map(members.map(({ id, address }) => [address, id]));
  const memberIds = new Set(members.map(({ id }) => id));
  const families = new Set(members.map(({ address }) => isIPv6(address)));
  const broken: string[] = [];
  for (const [what, list] of [
    ["virtualIps", addresses],
    ["otherNames", otherNames],
    ["acceptProxyFrom", acceptProxyFrom],
    ["reportReceivers", (settings.reportReceivers ?? []).map(({ name }) => name)],
  ] as const) {
    const twice = list.find((each, index) => list.indexOf(each) !== index);
    if (twice !== undefined) broken.push(`${what}: ${twice} is there twice`);
  }
  for (const address of addresses) {
    const holder = own.get(address);
    if (holder !== undefined) broken.push(`virtualIps: ${address} is ${holder}'s own address`);
  }
  if (addresses.length > 0 && !addresses.some((address) => families.has(isIPv6(address)))) {
    broken.push("virtualIps: one must be of the family by which members reach each other");
  }
  for (const network of acceptProxyFrom) {
    if (!/\/0+$/.test(network)) continue;
    broken.push(
      `acceptProxyFrom: ${network} is everybody: agents that come without a balancer would be refused`,
    );
  }
  for (const name of otherNames) {
    if (!memberIds.has(name)) continue;
    broken.push(`otherNames: ${name} is a member: no other server may answer to its name`);
  }
  broken.push(...brokenDrills(settings));
  if (puppetdbNodeTtlS > 0 && puppetdbNodeTtlS < NODE_TTL_S_MIN) {
    broken.push("puppetdbNodeTtlS: less than 1h would deactivate nodes between two runs");
  }
  return broken;
}

function brokenDrills({ probeEveryS = 0, drills = [], drillWindows = [] }: Settings): string[] {
  const outside = drills.filter(({ when }) => !isEverIn(when, drillWindows));
  return [
    ...(probeEveryS > 0 && probeEveryS < PROBE_S_MIN
      ? [`probeEveryS: not more often than every ${PROBE_S_MIN} s`]
      : []),
    ...outside.map(
      ({ kind, when }) =>
        `drills: ${kind}=${when} lies in none of drillWindows: it would never be held`,
    ),
  ];
}

function takes({ form, json }: Described): string {
  return `it takes ${form}${json === undefined ? "" : ` (in JSON: ${json})`}`;
}

function describe(error: z.ZodError): string[] {
  return error.issues.map(({ path, message }) => {
    const [key = "", ...below] = path.map(String);
    const described: Described | undefined = Object.hasOwn(CATALOG, key)
      ? CATALOG[key as SettingKey]
      : undefined;
    const where = below.length === 0 ? "" : ` (${below.join(".")})`;
    return `${key}${where}: ${message}${described === undefined ? "" : `; ${takes(described)}`}`;
  });
}

/** One setting that differs, as people read it. */
export interface SettingChange {
  key: string;
  from: string;
  to: string;
}

/** What differs between two states of the settings, also of what is changed elsewhere. */
export function diffSettings(before: Settings, after: Settings): SettingChange[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => {
    const [from, to] = [before, after].map((all) => renderSetting(key, valueOf(all, key)));
    return from === to || from === undefined || to === undefined ? [] : [{ key, from, to }];
  });
}

/** A value as people read it. */
export function renderSetting(key: string, value: unknown): string {
  if (value === undefined) return "not set";
  return Object.hasOwn(CATALOG, key)
    ? CATALOG[key as SettingKey].render(value)
    : JSON.stringify(value);
}

function valueOf(settings: Settings, key: string): unknown {
  return (settings as Record<string, unknown>)[key];
}
