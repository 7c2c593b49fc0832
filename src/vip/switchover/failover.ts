// Who takes an address whose holder can't be asked to let go. Pure. Connections break, so it is
// refused wherever a switchover could do it.

import { isIPv4 } from "node:net";
import { pausedBecause, type ServerFacts } from "./judge.ts";

export interface FailoverJudgement {
  to: string;
  /** In words, for people. */
  lines: string[];
  /** Why it is refused; empty when it isn't. */
  refused: string;
}

/** Judges a wish. `known`: the cluster's virtual addresses, without prefix lengths. */
export function judgeFailover(
  wanted: { address: string; to?: string | undefined },
  known: readonly string[],
  servers: readonly ServerFacts[],
): FailoverJudgement {
  const { address } = wanted;
  const refuse = (refused: string) => ({ to: "", lines: [], refused });
  if (!known.includes(address)) {
    return refuse(
      `${address} is no virtual IP of this cluster, which has ${known.join(", ") || "none"}`,
    );
  }
  const holder = servers.find((each) => holds(each, address));
  if (holder !== undefined && holder.look?.unfit === "") {
    return refuse(
      `${holder.id} holds ${address} and answers, so it can be moved in order: understudy switchover ${address}`,
    );
  }
  const to = findTaker(wanted, servers);
  if (typeof to === "string") return refuse(to);
  const silent = servers.flatMap(({ id, look, because, unfit }) => {
    if (look === undefined) return [`${id} can't be asked: ${because ?? ""}`];
    return unfit === "" && look.unfit === "" ? [] : [`${id}: ${unfit || look.unfit}`];
  });
  const lines = [
    ...silent,
    `${address} goes to ${to.id}: its keepalived takes it from whoever has it, with all addresses of its subnet.`,
    "Connections to it that are open now break: runs of agents that are under way fail, or wait for their own timeout.",
  ];
  return { to: to.id, lines, refused: "" };
}

function holds({ look }: ServerFacts, address: string): boolean {
  return look?.addresses.some((each) => each.address === address && each.held) === true;
}

/** The server that takes it, or why none can. */
function findTaker(
  { address, to }: { address: string; to?: string | undefined },
  servers: readonly ServerFacts[],
): ServerFacts | string {
  const named = servers.filter(
    ({ id }) => to === undefined || id === to || id.split(".")[0] === to,
  );
  if (to !== undefined && named.length !== 1) {
    if (named.length === 0) return `${to} is no server of this cluster`;
    return `${to} may be ${named.map(({ id }) => id).join(" or ")}`;
  }
  const fit = named.filter((each) => unfitness(each, address) === "");
  const [best] = fit.toSorted((a, b) => a.id.localeCompare(b.id));
  if (best !== undefined) return best;
  const why = named.map((each) => `${each.id}: ${unfitness(each, address)}`);
  return `no server can take it: ${why.join("; ")}`;
}

function unfitness(server: ServerFacts, address: string): string {
  if (server.look === undefined) return `its daemon can't be asked: ${server.because ?? ""}`;
  if (server.paused === true) return pausedBecause(server);
  const why = server.unfit || server.look.unfit;
  if (why !== "") return why;
  const own = server.look.addresses.find((each) => each.address === address)?.own;
  if (own === undefined && isIPv4(address))
    return `it has no interface on the subnet of ${address}`;
  return "";
}
