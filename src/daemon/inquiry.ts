// Asks every member for what it can show of a time, all at once, each with a deadline: for why and
// incident. It needs no etcd; whoever can't be asked is named.

import { messageOf } from "../base/fault.ts";
import type { Acts } from "../base/acts.ts";
import { nearOffsetMs } from "../cluster/clock.ts";
import { Evidence as EvidenceSchema } from "../cluster/history/evidence.ts";
import {
  type Asked,
  buildTimeline,
  correctEvidence,
  type Incident,
} from "../cluster/history/incident.ts";
import type { Peers } from "../cluster/peer.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { type Explanation, explain } from "../cluster/why/explain.ts";
import { wallMs } from "../host/clock.ts";
import type { IncidentWish } from "../setup/history-contract.ts";
import type { History } from "./history.ts";

const ASK_MS = 3000;
/** How far back `why` looks. */
const WHY_MS = 24 * 3_600_000;
/** What an incident is of where nobody says. */
const INCIDENT_MS = 3_600_000;
/** How much of the record `incident` reads. */
const RECORD_MAX = 10_000;

export interface InquiryHost {
  node: { id: string };
  keeper: Pick<ViewKeeper, "current">;
  peers: Peers;
  history: History;
  acts: Acts;
  status(): Promise<ClusterStatus>;
}

export interface Inquiry {
  /** Throws Fault `member.not-found`, `member.ambiguous`, `cluster.no-record`. */
  why(about: string): Promise<Explanation>;
  incident(wish: IncidentWish): Promise<Incident>;
}

export function createInquiry(host: InquiryHost): Inquiry {
  const { id } = host.node;
  return {
    async why(about) {
      const sinceMs = wallMs() - WHY_MS;
      const [status, { asked, missing }] = await Promise.all([
        host.status(),
        askAll(host, { sinceMs }),
      ]);
      return explain(about, { status, evidence: asked.map(correctEvidence) }, missing);
    },
    async incident({ limit, ...wish }) {
      const { untilMs = wallMs() } = wish;
      const { sinceMs = untilMs - INCIDENT_MS } = wish;
      // Up to now is up to all there is: another's clock may be far ahead.
      const { asked, missing, ownMs } = await askAll(host, { sinceMs, untilMs: wish.untilMs });
      // What was asked for was said by this clock.
      const span = { sinceMs: sinceMs - ownMs, untilMs: untilMs - ownMs };
      const record = await host.history.read({ ...span, limit: RECORD_MAX });
      const lines = buildTimeline(asked, record.entries, span);
      return {
        sinceMs,
        untilMs,
        answeredBy: id,
        members: asked.map(({ evidence, offsetMs }) => {
          return { member: evidence.member, offsetMs, leftOut: evidence.leftOut };
        }),
        missing,
        recordBecause: record.because,
        lines: lines.slice(-limit),
        more: Math.max(0, lines.length - limit),
      };
    },
  };
}

async function askAll(
  { node, keeper, peers, history, acts }: InquiryHost,
  { sinceMs, untilMs }: Span,
): Promise<{ asked: Asked[]; missing: Incident["missing"]; ownMs: number }> {
  const own: Asked = { evidence: history.evidence({ sinceMs, untilMs }, acts.list()), offsetMs: 0 };
  const others = (keeper.current()?.members ?? []).filter(({ id }) => id !== node.id);
  const missing: Incident["missing"] = [];
  const found = await Promise.all(
    others.map(async ({ id, address }): Promise<Asked[]> => {
      const ask = async (span: Span): Promise<Asked> => {
        const sentMs = wallMs();
        const options = { answer: EvidenceSchema, withinMs: ASK_MS };
        const evidence = await peers.call(address, `/v1/evidence?${renderSpan(span)}`, options);
        return { evidence, offsetMs: evidence.wallMs - (sentMs + wallMs()) / 2 };
      };
      try {
        const first = await ask({ sinceMs, untilMs });
        if (Math.abs(first.offsetMs) < CLOCKS_MS) return [first];
        return [await ask(shiftSpan({ sinceMs, untilMs }, first.offsetMs))];
      } catch (error) {
        missing.push({ member: id, because: messageOf(error) });
        return [];
      }
    }),
  );
  const asked = [own, ...found.flat()];
  // Which clock is right: most clocks, not this one.
  const ownMs = nearOffsetMs(found.flat().map(({ offsetMs }) => -offsetMs));
  return {
    missing,
    ownMs,
    asked: asked.map(({ evidence, offsetMs }) => {
      return { evidence, offsetMs: Math.round(offsetMs + ownMs) };
    }),
  };
}

/** A time by this member's clock; `untilMs` undefined: up to all there is. */
interface Span {
  sinceMs: number;
  untilMs?: number | undefined;
}

/** How far a member's clock may be off for its entries to be found at the first asking. */
const CLOCKS_MS = 3_600_000;

/** The same time by a clock that is `offsetMs` ahead of this one. */
function shiftSpan({ sinceMs, untilMs }: Span, offsetMs: number): Span {
  return {
    sinceMs: sinceMs + offsetMs,
    untilMs: untilMs === undefined ? undefined : untilMs + offsetMs,
  };
}

/** What another is asked for: more, as its clock may be off; the timeline leaves out. */
function renderSpan({ sinceMs, untilMs }: Span): string {
  const query = new URLSearchParams({ sinceMs: String(Math.max(0, sinceMs - CLOCKS_MS)) });
  if (untilMs !== undefined) query.set("untilMs", String(untilMs + CLOCKS_MS));
  return query.toString();
}
