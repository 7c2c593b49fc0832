// What couriers say of themselves and of PuppetDBs, and what of it is to be looked at. Pure.

import { z } from "zod";
import { renderDuration } from "../base/duration.ts";
import type { MemberAnswer } from "./status.ts";
import { SyncStatus } from "./sync-status.ts";
import { warning, type Warning } from "./warning.ts";

/** One PuppetDB as one courier sees it. */
const PuppetdbSight = z.object({
  id: z.string(),
  /** Whether it may answer queries. */
  fit: z.boolean(),
  because: z.string(),
  /** Commands that wait here for it, and how long the oldest has. */
  commands: z.int(),
  oldestMs: z.number(),
  /** Commands that it never took. */
  deadLetters: z.int(),
});

/** A receiver of reports as one courier sees it. */
const ReceiverSight = z.object({
  name: z.string(),
  url: z.string(),
  /** Why it took nothing when it was tried last; empty: it took it. */
  because: z.string(),
  /** Reports that wait here for it, and how long the oldest has. */
  reports: z.int(),
  oldestMs: z.number(),
  deadLetters: z.int(),
});

/** The answer on the courier's own socket. */
export const CourierAnswer = z.object({
  couriers: z.array(z.object({ id: z.string(), reachable: z.boolean() })),
  /** Commands that no other courier has a copy of. */
  singleCopies: z.int(),
  spoolBytes: z.number(),
  /** The PuppetDB that queries went to last. */
  queries: z.string().optional(),
  puppetdbs: z.array(PuppetdbSight),
  receivers: z.array(ReceiverSight).default([]),
  /** Of its own server's PuppetDB. */
  sync: SyncStatus.optional(),
  /** SHA-256 of the configuration that it has read. */
  loaded: z.string(),
});

/** A member's courier in its status. */
export const CourierStatus = CourierAnswer.omit({ loaded: true }).extend({
  runs: z.boolean(),
  /** Why it doesn't run. */
  because: z.string(),
});
export type CourierStatus = z.infer<typeof CourierStatus>;

/** A courier that can't be asked. */
export function silentCourier(because: string): CourierStatus {
  const none = { couriers: [], singleCopies: 0, spoolBytes: 0, puppetdbs: [], receivers: [] };
  return { ...none, runs: false, because };
}

/** One PuppetDB as all couriers together see it. */
export interface PuppetdbSum {
  id: string;
  /** `fit` where every courier that runs finds it so. */
  fit: boolean;
  because: string;
  commands: number;
  oldestMs: number;
  deadLetters: number;
  /** Members whose courier sends queries to it. */
  usedBy: string[];
}

/** Every PuppetDB that a courier which runs knows. */
export function sumPuppetdbs(members: readonly MemberAnswer[]): PuppetdbSum[] {
  const couriers = members.flatMap(({ member, local }) =>
    local?.courier?.runs === true ? [{ member: member.id, ...local.courier }] : [],
  );
  const ids = [...new Set(couriers.flatMap(({ puppetdbs }) => puppetdbs.map(({ id }) => id)))];
  return ids.toSorted().map((id) => {
    const seen = couriers.flatMap(({ puppetdbs }) => puppetdbs.filter((each) => each.id === id));
    return {
      id,
      fit: seen.every(({ fit }) => fit),
      because: seen.find(({ fit }) => !fit)?.because ?? "",
      commands: seen.reduce((sum, { commands }) => sum + commands, 0),
      oldestMs: Math.max(...seen.map(({ oldestMs }) => oldestMs)),
      deadLetters: seen.reduce((sum, { deadLetters }) => sum + deadLetters, 0),
      usedBy: couriers.filter(({ queries }) => queries === id).map(({ member }) => member),
    };
  });
}

/** One receiver of reports as all couriers together see it. */
export type ReceiverSum = z.infer<typeof ReceiverSight>;

/** Every receiver that a courier which runs knows. */
export function sumReceivers(members: readonly MemberAnswer[]): ReceiverSum[] {
  const sums = new Map<string, ReceiverSum>();
  const all = members.flatMap(({ local }) => local?.courier?.receivers ?? []);
  for (const seen of all) {
    const sum = sums.get(seen.name);
    sums.set(seen.name, {
      ...seen,
      because: sum?.because || seen.because,
      reports: (sum?.reports ?? 0) + seen.reports,
      oldestMs: Math.max(sum?.oldestMs ?? 0, seen.oldestMs),
      deadLetters: (sum?.deadLetters ?? 0) + seen.deadLetters,
    });
  }
  return [...sums.values()].toSorted((a, b) => a.name.localeCompare(b.name));
}

/** What is to be looked at, in words. */
export function courierWarnings(members: readonly MemberAnswer[]): Warning[] {
  return [
    ...members.flatMap(({ member, local }) => ownWarnings(member.id, local?.courier)),
    ...sumPuppetdbs(members).flatMap(puppetdbWarnings),
    ...sumReceivers(members).flatMap(receiverWarnings),
  ];
}

function ownWarnings(id: string, courier: CourierStatus | undefined): Warning[] {
  if (courier === undefined) return [];
  if (!courier.runs) {
    return [warning("courier-down", id, `${id}'s courier doesn't run: ${courier.because}`)];
  }
  const said: Warning[] = [];
  if (courier.singleCopies > 0) {
    const count = countOf(courier.singleCopies);
    const text = `${id}'s courier has ${count} with 1 copy: no other courier has taken one.`;
    said.push(warning("courier-single-copies", id, text));
  }
  const { last } = courier.sync ?? {};
  if (last?.ok === false) {
    const text = `${id}'s PuppetDB isn't brought level with the others: ${last.because}`;
    said.push(warning("puppetdb-not-level", id, text));
  }
  return said;
}

function puppetdbWarnings({ id, fit, because, deadLetters }: PuppetdbSum): Warning[] {
  const said: Warning[] = [];
  if (!fit) {
    said.push(warning("puppetdb-unfit", id, `${id}'s PuppetDB answers no queries: ${because}`));
  }
  if (deadLetters > 0) {
    const text = `${id}'s PuppetDB refused ${countOf(deadLetters)} for good: understudy puppetdb dead list, on each server.`;
    said.push(warning("puppetdb-dead-letters", id, text));
  }
  return said;
}

function receiverWarnings({ name, because, reports, deadLetters }: ReceiverSum): Warning[] {
  const said: Warning[] = [];
  if (because !== "") {
    const text = `${name} lacks ${countOf(reports, "report")}: ${because}`;
    said.push(warning("receiver-behind", name, text));
  }
  if (deadLetters > 0) {
    const text = `${name} refused ${countOf(deadLetters, "report")} for good: see /usr/share/doc/understudy/reports.md.`;
    said.push(warning("receiver-dead-letters", name, text));
  }
  return said;
}

/** "fit, 3 wait for 10 s" */
export function renderPuppetdb({ fit, commands, oldestMs }: Omit<PuppetdbSum, "id">): string {
  const state = fit ? "fit" : "not fit";
  if (commands === 0) return state;
  return `${state}, ${commands} wait for ${renderDuration(Math.round(oldestMs / 1000))}`;
}

function countOf(count: number, what = "command"): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}
