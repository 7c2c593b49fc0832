// What happened in the cluster, and the timeline of an incident out of every member's own records.

import { useState } from "preact/hooks";
import type { HistoryEntry } from "../../../src/cluster/history/entry.ts";
import type { Incident, IncidentLine } from "../../../src/cluster/history/incident.ts";
import { renderDuration } from "../../../src/base/duration.ts";
import type { HistoryAnswer } from "../../../src/setup/history-contract.ts";
import { ask } from "../ask.ts";
import { countOf, localTime } from "../format.ts";
import { history } from "../live.ts";
import { useAsked } from "../parts/asked.ts";
import { Failure } from "../parts/failure.tsx";
import { Table } from "../parts/table.tsx";

const AT_ONCE = 100;
/** More makes a page that nobody reads, and slow. */
const SHOWN_MAX = 2000;
const SPANS = { "15 minutes": 15, "1 hour": 60, "6 hours": 360, "1 day": 1440, "1 week": 10_080 };

export function History() {
  return (
    <>
      <Entries />
      <Timeline />
    </>
  );
}

/** What comes meanwhile is added to what was asked. */
function Entries() {
  const [kind, setKind] = useState("");
  const [older, setOlder] = useState<readonly HistoryEntry[]>([]);
  const [failure, setFailure] = useState<unknown>(undefined);
  const kinds = kind === "" ? "" : `&kinds=${encodeURIComponent(kind)}`;
  const {
    answer,
    failure: refused,
    again,
  } = useAsked<HistoryAnswer>(`/v1/history?limit=${AT_ONCE}${kinds}`);
  const live = (history.value?.entries ?? []).filter((each) => kind === "" || each.kind === kind);
  const known = new Map(
    [...older, ...(answer?.entries ?? []), ...live].map((each) => [keyOf(each), each]),
  );
  const entries = [...known.values()].toSorted((a, b) => b.atMs - a.atMs).slice(0, SHOWN_MAX);
  const oldest = entries.at(-1);
  const all = [...new Set([...entries.map((each) => each.kind), ...COMMON])].toSorted();
  const more = async () => {
    try {
      const until = `&untilMs=${(oldest?.atMs ?? 1) - 1}`;
      const path = `/v1/history?limit=${AT_ONCE}${kinds}${until}`;
      const found = await ask<HistoryAnswer>("GET", path);
      setOlder([...older, ...found.entries]);
      setFailure(undefined);
    } catch (error) {
      setFailure(error);
    }
  };
  return (
    <section aria-labelledby="entries">
      <h2 id="entries">What happened</h2>
      <Choice
        kind={kind}
        kinds={all}
        onKind={(wanted) => {
          setOlder([]);
          setKind(wanted);
        }}
        onAgain={again}
      />
      <Failure error={refused} />
      {answer !== undefined && answer.because !== "" ? (
        <p>Only what this member has told: {answer.because}</p>
      ) : null}
      <Table
        caption="History, newest first"
        head={["When", "Kind", "What", "Why", "Who", "Took"]}
        none="nothing of this kind."
        rows={entries.map((entry) => ({ key: keyOf(entry), cells: cellsOf(entry) }))}
      />
      <Failure error={failure} />
      {entries.length >= AT_ONCE && entries.length < SHOWN_MAX ? (
        <button type="button" onClick={() => void more()}>
          Older ones
        </button>
      ) : null}
    </section>
  );
}

function Choice(props: {
  kind: string;
  kinds: readonly string[];
  onKind: (kind: string) => void;
  onAgain: () => void;
}) {
  const { kind, kinds, onKind, onAgain } = props;
  return (
    <form class="search" onSubmit={(event) => event.preventDefault()}>
      <label for="kind">Kind</label>
      <select id="kind" value={kind} onChange={({ currentTarget }) => onKind(currentTarget.value)}>
        <option value="">every kind</option>
        {kinds.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
      <button type="button" onClick={onAgain}>
        Read anew
      </button>
    </form>
  );
}

const COMMON = ["address", "command", "etcd", "member", "puppetserver", "revocation", "setting"];

function keyOf({ member, number }: HistoryEntry): string {
  return `${member} ${number}`;
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
