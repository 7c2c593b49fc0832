// Failures on purpose: what was held and what came of it, holding one, watching and stopping it.

import { useEffect, useState } from "preact/hooks";
import type { DrillKind } from "../../../src/cluster/drill.ts";
import { KINDS } from "../../../src/drill/kinds.ts";
import type { DrillReport, DrillSummary } from "../../../src/drill/report.ts";
import { describeFigures, outcomeOf } from "../../../src/drill/render-text.ts";
import type {
  DrillPlanAnswer,
  DrillProgress,
  DrillReportAnswer,
  DrillReports,
  DrillStarted,
} from "../../../src/setup/drill-contract.ts";
import { ask } from "../ask.ts";
import { localTime } from "../format.ts";
import { snapshot } from "../live.ts";
import { useAsked } from "../parts/asked.ts";
import { Chart } from "../parts/chart.tsx";
import { Confirm, Dialog } from "../parts/dialog.tsx";
import { Failure } from "../parts/failure.tsx";
import { Table } from "../parts/table.tsx";
import { may } from "../roles.ts";

const PROGRESS_MS = 1000;
const STEPS_SHOWN = 100;

export function Drills() {
  const held = useAsked<DrillReports>("/v1/drills");
  const [shown, setShown] = useState<string | undefined>(undefined);
  return (
    <>
      {may("operator") ? <Hold /> : null}
      <Running onEnd={held.again} />
      <Failure error={held.failure} />
      {held.answer === undefined ? null : (
        <>
          <Table
            caption="Drills that were held, newest first"
            head={["When", "Do", "Kind", "Server", "End", "No new connection", "Failed", "By"]}
            none="no drill was held."
            rows={held.answer.reports.map((each) => ({
              key: each.id,
              cells: cellsOf(each, () => setShown(each.id)),
            }))}
          />
          {held.answer.missing.map((id) => (
            <p key={id}>{id} couldn't be asked: what it drove is missing.</p>
          ))}
        </>
      )}
      {shown === undefined ? null : <Report id={shown} onClose={() => setShown(undefined)} />}
    </>
  );
}

function cellsOf(each: DrillSummary, onShow: () => void) {
  const when = localTime(each.startMs);
  return [
    when,
    <button
      type="button"
      class="small"
      aria-label={`Report of ${each.kind} at ${when}`}
      onClick={onShow}
    >
      Report
    </button>,
    each.kind,
    each.server,
    each.outcome === "done" && each.left > 0 ? "not as before" : each.outcome,
    each.outageMs === undefined ? "-" : `${each.outageMs} ms`,
    each.failedCatalogs ?? "-",
    each.by,
  ];
}

/** Asks for what it would mean, then for the kind to be typed. */
function Hold() {
  const [kind, setKind] = useState<DrillKind>("puppetserver-kill");
  const [server, setServer] = useState("");
  const [plan, setPlan] = useState<DrillPlanAnswer | undefined>(undefined);
  const [failure, setFailure] = useState<unknown>(undefined);
  const wish = { kind, ...(server === "" ? {} : { server }) };
  const look = async (event: Event) => {
    event.preventDefault();
    setFailure(undefined);
    try {
      setPlan(await ask<DrillPlanAnswer>("POST", "/v1/drill/plan", wish));
    } catch (error) {
      setFailure(error);
    }
  };
  const ids = (snapshot.value?.status.members ?? []).map(({ member }) => member.id);
  return (
    <section aria-labelledby="hold">
      <h2 id="hold">Hold a drill</h2>
      <form class="search" onSubmit={(event) => void look(event)}>
        <label for="drill-kind">Kind</label>
        <select
          id="drill-kind"
          value={kind}
          onChange={({ currentTarget }) => setKind(currentTarget.value as DrillKind)}
        >
          {Object.keys(KINDS).map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
        <label for="drill-server">Server</label>
        <select
          id="drill-server"
          value={server}
          onChange={({ currentTarget }) => setServer(currentTarget.value)}
        >
          <option value="">the sensible one</option>
          {ids.map((id) => (
            <option key={id}>{id}</option>
          ))}
        </select>
        <button>Show what it would do</button>
      </form>
      <p>
        {KINDS[kind].does}. Agents should notice: {KINDS[kind].expected}.
      </p>
      <Failure error={failure} />
      {plan === undefined ? null : (
        <Confirm
          title={`${plan.kind} at ${plan.server}`}
          does="Hold it"
          type={plan.kind}
          act={async () => {
            const { kind, server } = plan;
            await ask<DrillStarted>("POST", "/v1/drill", { kind, server });
          }}
          onClose={() => setPlan(undefined)}
        >
          <ul>
            {plan.lines.map((line) => (
              <li key={line}>{line}</li>
            ))}
            {plan.refused.map((line) => (
              <li key={line}>
                <strong>It will be refused:</strong> {line}
              </li>
            ))}
          </ul>
        </Confirm>
      )}
    </section>
  );
}

/** The drill that this member drives. */
function Running({ onEnd }: { onEnd: () => void }) {
  const { answer, failure, busy, again } = useAsked<DrillProgress>("/v1/drill");
  const [refused, setRefused] = useState<unknown>(undefined);
  const running = answer?.running === true;
  useEffect(() => {
    // Asking anew would give up an answer that is still to come.
    if (busy) return undefined;
    const timer = setInterval(() => document.hidden || again(), PROGRESS_MS);
    return () => clearInterval(timer);
  }, [busy]);
  useEffect(() => {
    if (answer !== undefined && !running) onEnd();
  }, [running]);
  if (!running) return <Failure error={failure} />;
  return (
    <section aria-labelledby="running">
      <h2 id="running">A drill is under way</h2>
      <div role="log">
        {answer.lines.map((line, index) => (
          <p key={index}>{line}</p>
        ))}
      </div>
      {may("operator") ? (
        <button
          type="button"
          onClick={() => void ask("POST", "/v1/drill/stop").then(again, setRefused)}
        >
          Stop it, and undo it
        </button>
      ) : null}
      <Failure error={refused} />
    </section>
  );
}

function Report({ id, onClose }: { id: string; onClose: () => void }) {
  const { answer, failure } = useAsked<DrillReportAnswer>(`/v1/drills/${encodeURIComponent(id)}`);
  const report = answer?.report;
  return (
    <Dialog
      title={report === undefined ? "Drill" : `${report.kind} at ${report.server}`}
      onClose={onClose}
    >
      <Failure error={failure} />
      {report === undefined ? null : <Told report={report} />}
      <form method="dialog" class="buttons">
        <button>Close</button>
      </form>
    </Dialog>
  );
}

function Told({ report }: { report: DrillReport }) {
  const { catalogs, left, steps, actMs, startMs } = report;
  const times = catalogs.map(({ atMs }) => atMs);
  const pick = (kept: boolean) =>
    catalogs.map((each) => (each.kept === kept && each.ok ? each.ms : null));
  const failed = catalogs.filter(({ ok }) => !ok).length;
  return (
    <>
      <p>
        <strong>{outcomeOf(report)}</strong>
      </p>
      <Chart
        title="Catalogs, milliseconds"
        bridges
        times={times}
        lines={[
          { name: "new connection", values: pick(false) },
          { name: "kept connection", values: pick(true) },
          { name: "failed", values: catalogs.map(({ ok, ms }) => (ok ? null : ms)) },
        ]}
        label={`${catalogs.length} catalogs, ${failed} failed; the figures are below`}
      />
      <Table
        caption="Figures"
        head={["Figure", "Value"]}
        rows={describeFigures(report).map(([what, value]) => ({ key: what, cells: [what, value] }))}
      />
      {left.length === 0 ? null : (
        <>
          <h3>Worse than before</h3>
          <ul>
            {left.map((each) => (
              <li key={each}>{each}</li>
            ))}
          </ul>
        </>
      )}
      <h3>What went on, seconds from the act</h3>
      <ol>
        {steps.slice(0, STEPS_SHOWN).map(({ atMs, what }, index) => (
          <li key={index}>
            {((atMs - (actMs ?? startMs)) / 1000).toFixed(1)}: {what}
          </li>
        ))}
      </ol>
    </>
  );
}
