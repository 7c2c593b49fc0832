// Is it fine, what would it survive, what changed: readable in five seconds.

import { useState } from "preact/hooks";
import alertsPage from "../../../docs/alerts.md?raw";
import type { Snapshot } from "../../../src/api/events.ts";
import type { Explanation } from "../../../src/cluster/why/explain.ts";
import { inOrder, parseKinds, partsOf, topicOf } from "../advice.ts";
import { ago, countOf } from "../format.ts";
import { history, isOld, nowMs, snapshot } from "../live.ts";
import { useAsked } from "../parts/asked.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Failure } from "../parts/failure.tsx";
import { Table } from "../parts/table.tsx";

const LAST_ENTRIES = 5;
const TODO = parseKinds(alertsPage);

export function Overview() {
  const look = snapshot.value;
  if (look === undefined) return <p>Asking every member…</p>;
  return (
    <>
      <div class="tiles">
        <Fine {...look} />
        <Survives {...look} />
        <Changed />
      </div>
      <Wishes notes={look.status.notes} />
      <Warnings {...look} />
      <Table
        caption="Members"
        head={look.members.head.map(sentence)}
        rows={look.members.rows.map((cells) => ({ key: cells[0] ?? "", cells }))}
      />
    </>
  );
}

/** "PUPPETSERVER" is for terminals. */
function sentence(title: string): string {
  if (["CA", "ETCD"].includes(title)) return title === "CA" ? title : "etcd";
  return title === "PUPPETDB" ? "PuppetDB" : `${title.charAt(0)}${title.slice(1).toLowerCase()}`;
}

function Fine({ status }: Snapshot) {
  const { warnings, problems, members } = status;
  const critical = problems.filter(({ severity }) => severity === "critical").length;
  const others = warnings.length - critical;
  const silent = members.filter(({ local }) => local === undefined).length;
  return (
    <section class="tile" aria-labelledby="fine">
      <h2 id="fine">Is it fine?</h2>
      <Big text={warnings.length === 0 ? "Yes" : critical > 0 ? "No" : countOf(others, "thing")} />
      <p>
        {warnings.length === 0
          ? "Every promise holds."
          : critical === 0
            ? "to look at: see below."
            : `${critical} critical${others > 0 ? `, ${others} more` : ""} to look at: see below.`}{" "}
        {members.length - silent} of {countOf(members.length, "member")} answer.
      </p>
    </section>
  );
}

/** What is read first: nothing that may no longer be so. */
function Big({ text }: { text: string }) {
  return isOld.value ? (
    <>
      <p class="big">Not known</p>
      <p>When it was last seen:</p>
    </>
  ) : (
    <p class="big">{text}</p>
  );
}

function Survives({ status, capacity }: Snapshot) {
  const { toleratedFailures, etcd } = status;
  const { without, busiest } = capacity;
  return (
    <section class="tile" aria-labelledby="survives">
      <h2 id="survives">What would it survive?</h2>
      <Big text={countOf(toleratedFailures, "failure")} />
      <p>
        {etcd.quorum
          ? `${etcd.answering} of ${countOf(etcd.voters, "voter")} of etcd answer.`
          : "etcd has no quorum: agents are served, nothing can be changed."}
      </p>
      <p>
        {without === undefined
          ? "No other member has a puppetserver."
          : busiest === undefined
            ? "Load: not known until half an hour was seen."
            : without.carries
              ? `Without ${without.id} the rest carries the busiest half hour.`
              : `Without ${without.id} the rest lacks ${countOf(without.lacking, "JRuby", "JRubies")}.`}
      </p>
    </section>
  );
}

function Changed() {
  const told = history.value;
  const now = nowMs.value;
  const entries = (told?.entries ?? []).slice(-LAST_ENTRIES).toReversed();
  return (
    <section class="tile" aria-labelledby="changed">
      <h2 id="changed">What changed?</h2>
      {told === undefined ? <p>Reading…</p> : entries.length === 0 ? <p>Nothing yet.</p> : null}
      <ol class="changes">
        {entries.map(({ atMs, member, number, what }) => (
          <li key={`${member} ${number}`}>
            {what} <span class="when">{ago(atMs, now)}</span>
          </li>
        ))}
      </ol>
      <p>
        <a href="#/history">All of it</a>
      </p>
    </section>
  );
}

function Wishes({ notes }: { notes: readonly string[] }) {
  if (notes.length === 0) return null;
  return (
    <section aria-labelledby="notes">
      <h2 id="notes">By somebody's wish</h2>
      <ul>
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </section>
  );
}

function Warnings({ status }: Snapshot) {
  const [about, setAbout] = useState<string | undefined>(undefined);
  const ids = status.members.map(({ member }) => member.id);
  return (
    <>
      {status.problems.length === 0 ? null : (
        <section aria-labelledby="warnings">
          <h2 id="warnings">To look at</h2>
          <ul class="warnings">
            {inOrder(status.problems).map(({ key, warning }) => (
              <li key={key} class={warning.severity}>
                <span aria-hidden="true">! </span>
                {warning.severity === "critical" ? <strong>critical: </strong> : null}
                {warning.text}{" "}
                <button type="button" class="small" onClick={() => setAbout(topicOf(warning, ids))}>
                  Why?
                </button>
                <Handbook kind={warning.kind} />
              </li>
            ))}
          </ul>
        </section>
      )}
      {about === undefined ? null : <Why about={about} onClose={() => setAbout(undefined)} />}
    </>
  );
}

/** What the handbook says of it, opened where it is wanted. */
function Handbook({ kind }: { kind: string }) {
  const todo = TODO.get(kind);
  if (todo === undefined) return null;
  return (
    <details>
      <summary>What to do</summary>
      <p>
        <Noted text={todo} />
      </p>
      <p class="when">alerts.md, {kind}</p>
    </details>
  );
}

function Noted({ text }: { text: string }) {
  return (
    <>
      {partsOf(text).map((part, index) =>
        part.code ? <code key={index}>{part.text}</code> : part.text,
      )}
    </>
  );
}

export function Why({ about, onClose }: { about: string; onClose: () => void }) {
  const path = `/v1/why?about=${encodeURIComponent(about)}`;
  const { answer, failure, busy } = useAsked<Explanation>(path);
  return (
    <Dialog title={`Why: ${about}`} onClose={onClose}>
      {busy ? <p>Asking every member…</p> : null}
      <Failure error={failure} />
      {answer === undefined ? null : (
        <>
          <p>
            <strong>{answer.verdict}</strong>
          </p>
          <ul>
            {answer.evidence.map(({ atMs, source, what }, index) => (
              <li key={index}>
                {atMs === undefined ? "" : `${ago(atMs)}, `}
                {source}: {what}
              </li>
            ))}
            {answer.missing.map(({ member, because }) => (
              <li key={member}>
                {member} couldn't be asked: {because}
              </li>
            ))}
          </ul>
          {answer.todo.map((line) => (
            <p key={line}>{line}</p>
          ))}
        </>
      )}
      <form method="dialog" class="buttons">
        <button>Close</button>
      </form>
    </Dialog>
  );
}
