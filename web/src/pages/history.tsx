// What happened in the cluster, and the timeline of an incident out of every member's own records.

import { useEffect, useRef, useState } from "preact/hooks";
import type { HistoryEntry } from "../../../src/cluster/history/entry.ts";
import { KINDS } from "../../../src/cluster/history/kinds.ts";
import type { Incident, IncidentLine } from "../../../src/cluster/history/incident.ts";
import { renderDuration } from "../../../src/base/duration.ts";
import type { HistoryAnswer } from "../../../src/setup/history-contract.ts";
import { ask } from "../ask.ts";
import {
  isSameTeller,
  keyOf,
  type Known,
  meets,
  olderOf,
  SHOWN_MAX,
  withNewest,
  withOlder,
} from "../entries.ts";
import { countOf, localTime } from "../format.ts";
import { history } from "../live.ts";
import { useAsked } from "../parts/asked.ts";
import { Failure } from "../parts/failure.tsx";
import { Table } from "../parts/table.tsx";

const AT_ONCE = 100;
const SPANS = { "15 minutes": 15, "1 hour": 60, "6 hours": 360, "1 day": 1440, "1 week": 10_080 };

export function History() {
  const [kind, setKind] = useState("");
  const [round, setRound] = useState(0);
  return (
    <>
      <section aria-labelledby="entries">
        <h2 id="entries">What happened</h2>
        <Choice kind={kind} onKind={setKind} onAgain={() => setRound(round + 1)} />
        <Entries key={`${kind} ${round}`} kind={kind} />
      </section>
      <Timeline />
    </>
  );
}

/** What comes meanwhile is added to what was asked. */
function Entries({ kind }: { kind: string }) {
  const [known, setKnown] = useState<Known | undefined>(undefined);
  const [failure, setFailure] = useState<unknown>(undefined);
  const kinds = kind === "" ? "" : `&kinds=${encodeURIComponent(kind)}`;
  const newest = useAsked<HistoryAnswer>(`/v1/history?limit=${AT_ONCE}${kinds}`);
  const { answer } = newest;
  /** Whether others may lie between what is known and what is told: until all is read anew. */
  const isApart = useRef(false);
  useEffect(() => {
    if (answer === undefined) return;
    isApart.current = false;
    setKnown((before) => withNewest(before, answer));
  }, [answer]);
  useNews((told, isWhole) => {
    const entries = told.entries.filter((each) => kind === "" || each.kind === kind);
    isApart.current ||= !isWhole || !isSameTeller(known, told);
    if (isApart.current) newest.again();
    else if (entries.length > 0) setKnown((now) => withNewest(now, { ...told, entries, more: 0 }));
  });
  const older = async (from: Known) => {
    try {
      const path = `/v1/history?${olderOf(from, AT_ONCE)}${kinds}`;
      const found = await ask<HistoryAnswer>("GET", path);
      setKnown((now = from) => withOlder(now, found));
      setFailure(undefined);
    } catch (error) {
      setFailure(error);
    }
  };
  const entries = known?.entries ?? [];
  return (
    <>
      <Failure error={newest.failure} />
      {known === undefined || known.because === "" ? null : (
        <p>Only what this member has told: {known.because}</p>
      )}
      {known === undefined ? (
        <p>Reading…</p>
      ) : (
        <Table
          caption="History, newest first"
          head={["When", "Kind", "What", "Why", "Who", "Took"]}
          none="nothing of this kind."
          rows={entries.map((entry) => ({ key: keyOf(entry), cells: cellsOf(entry) }))}
        />
      )}
      <Failure error={failure} />
      {known?.more === true && entries.length < SHOWN_MAX ? (
        <button type="button" onClick={() => void older(known)}>
          Older ones
        </button>
      ) : null}
    </>
  );
}

/**
 * Calls `onNews` with what the stream tells of the history, whenever it is another. It has the
 * newest alone: `isWhole` is whether nothing came between them and those that it told before.
 */
function useNews(onNews: (told: HistoryAnswer, isWhole: boolean) => void): void {
  const told = history.value;
  const before = useRef(told);
  useEffect(() => {
    const last = before.current;
    before.current = told;
    if (told === undefined || told === last) return;
    onNews(told, last !== undefined && meets(last.entries, told));
  }, [told]);
}

function Choice(props: { kind: string; onKind: (kind: string) => void; onAgain: () => void }) {
  const { kind, onKind, onAgain } = props;
  return (
    <form class="search" onSubmit={(event) => event.preventDefault()}>
      <label for="kind">Kind</label>
      <select id="kind" value={kind} onChange={({ currentTarget }) => onKind(currentTarget.value)}>
        <option value="">every kind</option>
        {Object.keys(KINDS).map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
      <button type="button" onClick={onAgain}>
        Read anew
      </button>
    </form>
  );
}

type Told = Pick<HistoryEntry | IncidentLine, "atMs" | "kind" | "what" | "because" | "by"> &
  Pick<HistoryEntry, "stages" | "leftOut">;

function cellsOf({ atMs, kind, what, because, by, stages, leftOut }: Told) {
  const took = (stages ?? []).reduce((sum, { ms }) => sum + ms, 0);
  const many = leftOut === undefined ? "" : ` (${countOf(leftOut, "change")} before it left out)`;
  return [
    localTime(atMs),
    kind,
    `${what}${many}`,
    because || "-",
    by || "-",
    took === 0 ? "-" : took < 1000 ? `${took} ms` : renderDuration(took / 1000),
  ];
}

function Timeline() {
  const [span, setSpan] = useState<keyof typeof SPANS>("1 hour");
  const [path, setPath] = useState<string | undefined>(undefined);
  const { answer, failure, busy } = useAsked<Incident>(path);
  const build = (event: Event) => {
    event.preventDefault();
    setPath(`/v1/incident?sinceMs=${Date.now() - SPANS[span] * 60_000}`);
  };
  const lines = (answer?.lines ?? []).slice(-SHOWN_MAX).toReversed();
  const count = (answer?.lines.length ?? 0) + (answer?.more ?? 0);
  return (
    <section aria-labelledby="timeline">
      <h2 id="timeline">Timeline of an incident</h2>
      <form class="search" onSubmit={build}>
        <label for="span">Since</label>
        <select
          id="span"
          value={span}
          onChange={({ currentTarget }) => setSpan(currentTarget.value as keyof typeof SPANS)}
        >
          {Object.keys(SPANS).map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
        <button disabled={busy}>{busy ? "Asking every member…" : "Build it"}</button>
      </form>
      <Failure error={failure} />
      {answer === undefined ? null : (
        <>
          <p role="status">
            {countOf(count, "line")} of {countOf(answer.members.length, "member")}
            {count > lines.length ? `, the newest ${lines.length} are shown` : ""}.
            {answer.missing.map(
              ({ member, because }) => ` ${member} couldn't be asked: ${because}.`,
            )}
            {answer.recordBecause === ""
              ? ""
              : ` The record couldn't be read: ${answer.recordBecause}`}
          </p>
          <Table
            caption="Timeline by most clocks, newest first"
            head={["When", "Kind", "What", "Why", "Who", "Took", "Seen by"]}
            rows={lines.map((line, index) => ({
              key: String(index),
              cells: [...cellsOf(line), [line.member, ...line.alsoSeenBy].join(", ")],
            }))}
          />
        </>
      )}
    </section>
  );
}
