// Why a virtual IP is where it is. Pure.

import type { HistoryEntry } from "../history/entry.ts";
import type { MemberAnswer } from "../status.ts";
import type { Case, Line, Said } from "./explain.ts";
import { happened, now, planned, warned } from "./lines.ts";

export function explainAddress(given: Case): Said {
  const { members, settings } = given.status;
  const addresses = settings.virtualIps.map((vip) => vip.split("/")[0] ?? vip);
  if (addresses.length === 0) {
    const verdict = `There is no virtual IP: agents reach ${settings.sharedName} some other way.`;
    return { verdict, evidence: [], todo: [] };
  }
  const servers = members.filter(({ member }) => member.role === "server");
  const places = addresses.map((address) => placeOf(address, servers));
  return {
    verdict: places.map(({ verdict }) => verdict).join(" "),
    evidence: [
      ...happened(given, moves),
      ...planned(given, (_, loop) => loop === "virtual IPs"),
      ...servers.map(standingOf),
      ...warned(
        given,
        (text) => MEANT.test(text) || addresses.some((address) => text.includes(address)),
      ),
    ],
    todo: [...new Set(places.flatMap(({ todo }) => todo))],
  };
}

/** Notes of what somebody wishes, and what keeps or moves addresses. */
const MEANT = /drained by|paused by|upgraded one after another/;

/** Whether an entry is of an address, of what moves one, or of who ordered that. */
function moves({ kind, event }: HistoryEntry): boolean {
  if (event === "switchover" || event === "failover") return true;
  return kind === "address" || kind === "edge" || kind === "work";
}

function placeOf(address: string, servers: readonly MemberAnswer[]) {
  const holders = servers.filter(({ local }) => local?.addresses.includes(address) === true);
  const ids = holders.map(({ member }) => member.id);
  const silent = servers.filter(({ local }) => local === undefined).map(({ member }) => member.id);
  if (ids.length === 1) return { verdict: `${address} is held by ${ids[0]}.`, todo: [] };
  if (ids.length > 1) {
    return {
      verdict: `${address} is held by ${ids.join(" and ")} at once: they don't hear each other's adverts.`,
      todo: ["On each of them: journalctl -u understudy-vip; is VRRP (protocol 112) let through?"],
    };
  }
  const perhaps =
    silent.length === 0 ? "" : ` ${silent.join(" or ")} can't be asked, and may hold it.`;
  return {
    verdict: `No server that answers holds ${address}.${perhaps}`,
    todo: [
      "On each server: systemctl status understudy-vip understudy-edge; journalctl -u understudy-vip",
    ],
  };
}

/** What decides whether a server takes addresses. */
function standingOf({ member, local, because }: MemberAnswer): Line {
  if (local === undefined) return now(member.id, `it doesn't answer: ${because}`);
  const edge =
    local.edge?.active === true
      ? "its edge is up"
      : `its edge is down: ${local.edge?.because ?? ""}`;
  const phase = member.phase === "ready" ? "" : `, it is ${member.phase}`;
  const record = local.record.reachable ? "" : ", it can't reach the record: it is last in line";
  const drained = local.drained === true ? ", it is drained: it is last in line" : "";
  return now(member.id, `${edge}${phase}${record}${drained}`);
}
