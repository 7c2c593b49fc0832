// Which addresses would move from where to where, what would become of their connections, and what
// speaks against it. Pure: what every server said of itself comes in.

import { isIPv4 } from "node:net";
import type { SwitchoverLook } from "./acts.ts";

export interface ServerFacts {
  id: string;
  /** Why it can't take addresses by what the cluster knows of it; empty: it can. */
  unfit: string;
  /** Whether an administrator wants no address moved from or to it now. */
  paused?: boolean;
  /** What it said; else why it didn't. */
  look?: SwitchoverLook;
  because?: string;
}

export interface SwitchoverWanted {
  /** Absent: what the one holder there is holds. */
  address?: string | undefined;
  /** A server's name, or its first part. Absent: the fittest. */
  to?: string | undefined;
  /** Move also what can't be moved without breaking connections. */
  force: boolean;
}

export interface SwitchoverJudgement {
  from: string;
  to: string;
  /** What moves, and why its connections break; empty: they go on. */
  moves: { address: string; breaks: string; own?: string; peer?: string }[];
  /** There already: nothing is left to do. */
  already: boolean;
  /** In words, for people. */
  lines: string[];
  /** Why it is refused; empty when it isn't. */
  refused: string;
}

/** Judges a wish. `known`: the cluster's virtual addresses, without prefix lengths. */
export function judgeSwitchover(
  wanted: SwitchoverWanted,
  known: readonly string[],
  servers: readonly ServerFacts[],
): SwitchoverJudgement {
  const nothing = { from: "", to: "", moves: [], already: false, lines: [] };
  const from = findHolder(wanted.address, known, servers);
  if (typeof from === "string") return { ...nothing, refused: from };
  const to = findTarget(wanted.to, from, servers);
  if (typeof to === "string") return { ...nothing, from: from.id, refused: to };
  const held = addressesOf(from);
  if (to.id === from.id) {
    const lines = [`${from.id} holds ${held.join(" and ")} already.`];
    return { ...nothing, from: from.id, to: to.id, already: true, lines, refused: "" };
  }
  const moves = held.map((address) => judgeMove(address, from, to));
  const judgement = { ...nothing, from: from.id, to: to.id, moves };
  const lines = renderLines(judgement, from, to);
  return { ...judgement, lines, refused: refusal(wanted, from, to, moves) };
}

function addressesOf({ look }: ServerFacts): string[] {
  return (look?.addresses ?? []).flatMap(({ address, held }) => (held ? [address] : []));
}

/** The one holder, or why there isn't one. */
function findHolder(
  wanted: string | undefined,
  known: readonly string[],
  servers: readonly ServerFacts[],
): ServerFacts | string {
  if (known.length === 0) return "this cluster has no virtual IP";
  if (wanted !== undefined && !known.includes(wanted)) {
    return `${wanted} is no virtual IP of this cluster, which has ${known.join(", ")}`;
  }
  const holders = servers.filter((each) =>
    addressesOf(each).some((address) => wanted === undefined || address === wanted),
  );
  const what = wanted ?? known.join(" and ");
  const [one, ...more] = holders;
  if (one === undefined) {
    return `nobody that answers holds ${what}: with a fit server it comes back by itself (understudy status)`;
  }
  if (more.length === 0) return one;
  if (wanted === undefined) {
    const each = holders.map((holder) => `${holder.id} holds ${addressesOf(holder).join(", ")}`);
    return `which one? ${each.join("; ")}`;
  }
  return `${wanted} is held by ${holders.map(({ id }) => id).join(" and ")} at once: is the network between them cut?`;
}

/** The server that takes the addresses, or why none can. */
function findTarget(
  wanted: string | undefined,
  from: ServerFacts,
  servers: readonly ServerFacts[],
): ServerFacts | string {
  if (wanted !== undefined) {
    const named = servers.filter(({ id }) => id === wanted || id.split(".")[0] === wanted);
    const [one, ...more] = named;
    if (one === undefined) return `${wanted} is no server of this cluster`;
    if (more.length > 0) return `${wanted} may be ${named.map(({ id }) => id).join(" or ")}`;
    const why = one.id === from.id ? "" : unfitness(one, from);
    return why === "" ? one : `${one.id} can't take it: ${why}`;
  }
  const others = servers.filter((each) => each.id !== from.id);
  if (others.length === 0) return "there is no other server";
  const fit = others.filter((each) => unfitness(each, from) === "");
  const [best] = fit.toSorted((a, b) => rank(a) - rank(b) || a.id.localeCompare(b.id));
  if (best !== undefined) return best;
  const why = others.map((each) => `${each.id}: ${unfitness(each, from)}`);
  return `no other server can take it: ${why.join("; ")}`;
}

/** Servers that should let `to` go first, so that no other takes the addresses before it. */
export function standAside(
  { from, to }: Pick<SwitchoverJudgement, "from" | "to">,
  servers: readonly ServerFacts[],
): string[] {
  // One that passes connections on for an earlier switchover is left at that.
  const free = servers.filter(({ id, look, paused }) => {
    const busy = look?.windows.some(({ side, phase }) => side === "new" && phase !== "ended");
    return id !== from && id !== to && busy === false && paused !== true;
  });
  return free.map(({ id }) => id);
}

/** One that isn't paused, the fewest reasons against it, the fewest addresses that it has already. */
function rank(server: ServerFacts): number {
  const paused = server.paused === true ? 10_000 : 0;
  return paused + (server.look?.problems.length ?? 0) * 100 + addressesOf(server).length;
}

function unfitness(server: ServerFacts, from: ServerFacts): string {
  if (server.unfit !== "") return server.unfit;
  if (server.look === undefined) return `its daemon can't be asked: ${server.because ?? ""}`;
  if (server.look.unfit !== "") return server.look.unfit;
  const missing = addressesOf(from).filter(
    (address) => ownOn(server, address) === undefined && isIPv4(address),
  );
  return missing.length === 0 ? "" : `it has no interface on the subnet of ${missing.join(", ")}`;
}

function ownOn({ look }: ServerFacts, address: string): string | undefined {
  return look?.addresses.find((each) => each.address === address)?.own;
}

function judgeMove(
  address: string,
  from: ServerFacts,
  to: ServerFacts,
): SwitchoverJudgement["moves"][number] {
  if (!isIPv4(address)) return { address, breaks: "connections by IPv6 aren't kept" };
  const problems = [from, to].flatMap(({ id, look }) =>
    (look?.problems ?? []).map((problem) => `${id}: ${problem}`),
  );
  const [own, peer] = [ownOn(from, address), ownOn(to, address)];
  const busy = blockedBy(from, to);
  if (busy !== "") problems.push(busy);
  if (own === undefined || peer === undefined) problems.push("no address of both on its subnet");
  if (problems.length > 0) return { address, breaks: problems.join("; ") };
  return { address, breaks: "", own: own ?? "", peer: peer ?? "" };
}

/** What the new holder already passes on for somebody else, and couldn't any more. */
function blockedBy(from: ServerFacts, to: ServerFacts): string {
  const own = new Set(from.look?.addresses.map((each) => each.own));
  const window = to.look?.windows.find(
    ({ side, peers }) => side === "new" && peers.some((peer) => !own.has(peer)),
  );
  if (window === undefined) return "";
  return `${to.id} passes connections of an earlier switchover on to ${window.peers.join(", ")}, for ${window.leftS} s at most`;
}

function refusal(
  { force }: SwitchoverWanted,
  from: ServerFacts,
  to: ServerFacts,
  moves: SwitchoverJudgement["moves"],
): string {
  const paused = [from, to].find((each) => each.paused === true);
  if (paused !== undefined) return pausedBecause(paused);
  const running = [from, to].flatMap(({ id, look }) =>
    (look?.windows ?? [])
      .filter(({ phase }) => phase !== "moved" && phase !== "ended")
      .map(() => `another switchover is under way on ${id}`),
  );
  if (running[0] !== undefined) return running[0];
  const unfit = from.look?.unfit ?? "";
  if (unfit !== "") {
    return `${from.id} can't let it go: ${unfit}. If that stays so: understudy failover`;
  }
  const breaking = moves.filter(({ breaks }) => breaks !== "");
  if (force || breaking.length === 0) return "";
  const why = breaking.map(({ address, breaks }) => `${address}: ${breaks}`).join("; ");
  return `connections would break. ${why}. With --force it moves all the same`;
}

/** Why nothing is moved from or to a server that is paused. */
export function pausedBecause({ id }: ServerFacts): string {
  return `moves of addresses are paused on ${id}: understudy status says by whom, understudy resume ends it`;
}

function renderLines(
  { moves }: Pick<SwitchoverJudgement, "moves">,
  from: ServerFacts,
  to: ServerFacts,
): string[] {
  const kept = moves.filter(({ breaks }) => breaks === "");
  const lines = moves.map(({ address, breaks }) => {
    const fate = breaks === "" ? "its connections go on" : `its connections break: ${breaks}`;
    return `${address} moves from ${from.id} to ${to.id}; ${fate}.`;
  });
  if (kept.length === 0) return lines;
  return [
    ...lines,
    `1. ${to.id} passes on to ${from.id} what it hasn't seen begin, for as long as it hears it.`,
    `2. ${from.id} keeps a copy on lo for its connections, and announces it no more.`,
    `3. ${from.id}'s keepalived lets go, ${to.id}'s takes over: a few milliseconds.`,
    `4. When ${from.id}'s connections have ended, both put everything back.`,
  ];
}
