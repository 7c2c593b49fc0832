// A switchover as one member runs it: asks every server, judges, has both sides prepare, then the
// old holder let go. Until that moment everything is undone when anything goes wrong; after it
// nothing needs this member any more. Two don't run at once: a turn in the record, which ends by
// itself.

import { randomBytes } from "node:crypto";
import { isIPv4 } from "node:net";
import type { SwitchoverCommands } from "../api/local-app.ts";
import { Fault, isFault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { SWITCHOVER_TURN_KEY } from "../cluster/keys.ts";
import type { Member, NodeFile } from "../cluster/schema.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { inTurn } from "../cluster/turn.ts";
import { serversOf, type View } from "../cluster/view.ts";
import { drainOf, isPaused, isWithoutAddresses, type Work } from "../cluster/work.ts";
import type { Etcd } from "../etcd/types.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { canonicalAddress, parseCidr } from "../host/network.ts";
import type { SwitchoverAsk, SwitchoverDone, SwitchoverPlan } from "../setup/address-contract.ts";
import type { SwitchoverActs, SwitchoverWish } from "../vip/switchover/acts.ts";
import {
  judgeSwitchover,
  type ServerFacts,
  standAside,
  type SwitchoverJudgement,
} from "../vip/switchover/judge.ts";

/** Longer than all acts take together. */
const TURN_S = 120;

export interface SwitchoverDeps {
  node: NodeFile;
  etcd: Etcd;
  view(): View;
  status(): Promise<ClusterStatus>;
  /** The acts of any server, this one too. */
  actsOf(member: Member): SwitchoverActs;
  log: Log;
}

export function switchoverCommands(deps: SwitchoverDeps): SwitchoverCommands {
  let running: { lines: string[]; stop: AbortController } | undefined;
  return {
    plan: async (ask) => toPlan(await judge(deps, ask)),
    progress: () => ({ lines: running?.lines ?? [] }),
    stop: () => running?.stop.abort(),
    async run(ask) {
      if (running !== undefined) throw taken();
      const own = { lines: [] as string[], stop: new AbortController() };
      running = own;
      let done: SwitchoverDone | undefined;
      try {
        const turn = { key: SWITCHOVER_TURN_KEY, id: deps.node.id, leaseS: TURN_S };
        const mine = await inTurn(deps.etcd, turn, async () => {
          done = await new Run(deps, ask, own).go();
        });
        if (!mine || done === undefined) throw taken();
        return done;
      } finally {
        running = undefined;
      }
    },
  };
}

function taken(): Fault {
  return new Fault("switchover.running", "another switchover is running", {
    hints: [`It takes seconds. One that was killed is over within ${TURN_S} s: try again then.`],
  });
}

interface Judged extends SwitchoverJudgement {
  servers: readonly ServerFacts[];
}

async function judge(deps: SwitchoverDeps, ask: SwitchoverAsk): Promise<Judged> {
  if (deps.node.role !== "server") {
    throw refusedFault("this member is no server: run it on one (understudy member list)");
  }
  const servers = await lookAtAll(deps);
  const address = ask.address === undefined ? undefined : canonicalAddress(ask.address);
  return { ...judgeSwitchover({ ...ask, address }, knownAddresses(deps.view()), servers), servers };
}

/** The cluster's virtual addresses, without prefix lengths. */
export function knownAddresses({ settings }: View): string[] {
  return settings.virtualIps.map((text) => canonicalAddress(parseCidr(text).address));
}

/** What every server says of itself, all asked at once. */
export async function lookAtAll(
  deps: Pick<SwitchoverDeps, "view" | "status" | "actsOf">,
): Promise<ServerFacts[]> {
  const status = await deps.status();
  const { work } = deps.view();
  return Promise.all(
    serversOf(deps.view()).map(async (member): Promise<ServerFacts> => {
      const answer = status.members.find((each) => each.member.id === member.id);
      const paused = isPaused(work, member.id, wallMs(), "addresses");
      const unfit = unfitness(member, answer) || givesThemAway(work, member.id);
      const facts = { id: member.id, unfit, paused };
      try {
        return { ...facts, look: await deps.actsOf(member).look() };
      } catch (error) {
        return { ...facts, because: messageOf(error) };
      }
    }),
  );
}

/** Why the cluster wouldn't give the server an address; empty: it would. */
function unfitness(member: Member, answer: ClusterStatus["members"][number] | undefined): string {
  if (member.phase !== "ready") return `it is ${member.phase}`;
  const local = answer?.local;
  if (local === undefined) return `its daemon doesn't answer: ${answer?.because ?? ""}`;
  if (local.edge?.active !== true) return "its edge is down";
  if (local.drained === true) return "it is drained";
  return "";
}

/** Why it would give an address away again at once; empty: it would keep it. */
function givesThemAway(work: Work, id: string): string {
  const nowMs = wallMs();
  if (drainOf(work, id, nowMs) !== undefined) return "it is drained";
  return isWithoutAddresses(work, id, nowMs) ? "it is being upgraded" : "";
}

/** Who holds what, as the servers say it. */
export function holdersOf(servers: readonly ServerFacts[]): SwitchoverPlan["before"] {
  return servers.map(({ id, look }) => ({
    id,
    addresses: (look?.addresses ?? []).flatMap(({ address, held }) => (held ? [address] : [])),
  }));
}

function toPlan(judged: Judged): SwitchoverPlan {
  const { from, to, moves, already, lines, refused, servers } = judged;
  const before = holdersOf(servers);
  const moved = moves.map(({ address }) => address);
  const after = before.map(({ id, addresses }) => {
    const kept = addresses.filter((address) => id !== from || !moved.includes(address));
    return { id, addresses: id === to ? [...kept, ...moved] : kept };
  });
  const shown = moves.map(({ address, breaks }) => ({ address, breaks }));
  return { from, to, moves: shown, already, before, after, lines, refused };
}

/** One switchover. */
class Run {
  readonly #deps: SwitchoverDeps;
  readonly #ask: SwitchoverAsk;
  readonly #own: { lines: string[]; stop: AbortController };
  #id = newId();

  constructor(
    deps: SwitchoverDeps,
    ask: SwitchoverAsk,
    own: { lines: string[]; stop: AbortController },
  ) {
    this.#deps = deps;
    this.#ask = ask;
    this.#own = own;
  }

  async go(): Promise<SwitchoverDone> {
    const judged = await judge(this.#deps, this.#ask);
    const { from, to, moves, already, refused } = judged;
    if (refused !== "") throw refusedFault(refused);
    const { limitS } = this.#ask;
    const same = { from, to, already, limitS, addresses: moves.map(({ address }) => address) };
    if (already) return { ...same, holders: holdersOf(judged.servers), connections: 0, tookMs: 0 };
    const sides = { old: this.#acts(from), next: this.#acts(to) };
    const asides = standAside(judged, judged.servers).map((id) => this.#acts(id));
    const aside = toAside(this.#wish("new", moves));
    try {
      // They only help the one that is meant to be the first.
      const standing = Promise.allSettled(asides.map(async (acts) => acts.prepare(aside)));
      await this.#prepare(judged, sides).catch(async (error: unknown) => {
        // Known too late to be asked for: a network that drops what one server passes on.
        if (!this.#ask.force || !isFault(error, "switchover.ended")) throw error;
        this.#say(`no connection can be kept, it moves by force: ${error.message}`);
        this.#id = newId();
        await this.#prepare({ ...judged, moves: moves.map(toBare) }, sides);
      });
      await standing;
      const { tookMs, theirs } = await this.#move(judged, sides);
      const servers = await lookAtAll(this.#deps);
      const look = servers.find(({ id }) => id === from)?.look;
      const window = look?.windows.find(({ id }) => id === this.#id);
      const connections = window?.connections ?? theirs;
      return { ...same, holders: holdersOf(servers), connections, tookMs };
    } finally {
      const of = { id: aside.id, side: "new" } as const;
      await this.#end(asides.map(async (acts) => acts.end(of)));
    }
  }

  async #prepare(
    { from, to, moves }: SwitchoverJudgement,
    { old, next }: { old: SwitchoverActs; next: SwitchoverActs },
  ): Promise<void> {
    await this.#undoing({ old, next }, async () => {
      this.#say(`${to} and ${from} prepare`);
      const both = [next.prepare(this.#wish("new", moves)), old.prepare(this.#wish("old", moves))];
      // Both, so that the undoing of one doesn't meet the other's beginning.
      for (const outcome of await Promise.allSettled(both)) {
        if (outcome.status === "rejected") throw outcome.reason;
      }
      this.#say("both are prepared");
    });
  }

  /** From here on there is no way back, and nothing needs this member any more. */
  async #move(
    { from, to, moves }: SwitchoverJudgement,
    { old, next }: { old: SwitchoverActs; next: SwitchoverActs },
  ): Promise<{ tookMs: number; theirs: number }> {
    const startMs = monotonicMs();
    this.#say(`${from} lets go`);
    const theirs = await old.handOver(this.#id).catch(async (error: unknown) => {
      // Then nothing has moved, and nothing will: it would stand ready for a minute.
      if (isFault(error, "switchover.ended")) {
        await this.#end([next.end({ id: this.#id, side: "new" })]);
      }
      throw error;
    });
    await next.taken(this.#id, theirs).catch(this.#notTaken(to));
    const tookMs = monotonicMs() - startMs;
    this.#say(`${to} holds ${moves.map(({ address }) => address).join(" and ")}`);
    return { tookMs, theirs: theirs.length };
  }

  #acts(id: string): SwitchoverActs {
    const member = this.#deps.view().members.find((each) => each.id === id);
    if (member !== undefined) return this.#deps.actsOf(member);
    throw refusedFault(`${id} is no member any more`);
  }

  #wish(side: "old" | "new", moves: SwitchoverJudgement["moves"]): SwitchoverWish {
    const { limitS } = this.#ask;
    return {
      id: this.#id,
      side,
      stand: "first",
      limitS,
      moves: moves.map(({ address, own, peer }) => {
        const there = side === "old" ? peer : own;
        return there !== undefined && isIPv4(there) ? { address, peer: there } : { address };
      }),
    };
  }

  /** Does what nothing has moved by; puts both sides back when it fails or is stopped. */
  async #undoing(
    sides: { old: SwitchoverActs; next: SwitchoverActs },
    work: () => Promise<void>,
  ): Promise<void> {
    try {
      await work();
      if (!this.#own.stop.signal.aborted) return;
      throw new Fault("switchover.stopped", "it was stopped before anything moved", {
        hints: ["Both servers have put everything back."],
      });
    } catch (error) {
      this.#say("both put everything back");
      await this.#end([
        sides.old.end({ id: this.#id, side: "old" }),
        sides.next.end({ id: this.#id, side: "new" }),
      ]);
      throw error;
    }
  }

  /** Who can't be told does so by itself within a minute. */
  async #end(ends: Promise<void>[]): Promise<void> {
    for (const outcome of await Promise.allSettled(ends)) {
      if (outcome.status === "rejected") {
        this.#deps.log.warn(`switchover ${this.#id}: ${messageOf(outcome.reason)}`);
      }
    }
  }

  #notTaken(to: string): (error: unknown) => never {
    return (error) => {
      throw new Fault("switchover.not-taken", `${to} hasn't taken over: ${messageOf(error)}`, {
        hints: [
          "Another server holds the address by now, or the former one again: understudy status",
          "Connections of a server that neither holds nor hears the holder are reset.",
        ],
        cause: error,
      });
    };
  }

  #say(line: string): void {
    this.#own.lines.push(line);
    this.#deps.log.notice(`switchover ${this.#id}: ${line}`);
  }
}

function newId(): string {
  return randomBytes(4).toString("hex");
}

/** The move without its connections. */
function toBare({ address }: SwitchoverJudgement["moves"][number]) {
  return { address, breaks: "they can't be kept" };
}

/** The same addresses, to be left to another server. */
function toAside(wish: SwitchoverWish): SwitchoverWish {
  return { ...wish, stand: "aside", moves: wish.moves.map(({ address }) => ({ address })) };
}

function refusedFault(why: string): Fault {
  return new Fault("switchover.refused", why, {
    hints: ["Nothing was changed. See: understudy switchover --dry-run, understudy status"],
  });
}
