// PuppetDBs, the couriers in front of them, and where reports go besides.

import { useState } from "preact/hooks";
import type { Snapshot } from "../../../src/api/events.ts";
import type { CourierStatus } from "../../../src/cluster/courier-status.ts";
import type { PuppetdbDiff } from "../../../src/cluster/sync-status.ts";
import { renderDuration } from "../../../src/base/duration.ts";
import { ask } from "../ask.ts";
import { countOf } from "../format.ts";
import { snapshot } from "../live.ts";
import { useAsked } from "../parts/asked.ts";
import { Confirm } from "../parts/dialog.tsx";
import { Failure } from "../parts/failure.tsx";
import { Table } from "../parts/table.tsx";
import { may } from "../roles.ts";

const ROWS_SHOWN = 100;

export function PuppetDb() {
  const [use, setUse] = useState<string | undefined>(undefined);
  const look = snapshot.value;
  if (look === undefined) return <p>Asking every member…</p>;
  const couriers = look.status.members.flatMap(({ member, local }) =>
    local?.courier === undefined ? [] : [{ id: member.id, ...local.courier }],
  );
  const having = look.status.members.filter(({ member }) => member.courier === true).length;
  if (couriers.length === 0 && having > 0) {
    return <p>None of the {countOf(having, "member")} with a courier answers.</p>;
  }
  if (couriers.length === 0) {
    return (
      <p>
        No server has a courier for PuppetDB. On each server:{" "}
        <code>understudy puppetdb enable</code>
      </p>
    );
  }
  return (
    <>
      <Databases puppetdbs={look.puppetdbs} onUse={setUse} />
      <Couriers couriers={couriers} />
      <Table
        caption="Further receivers of reports"
        head={["Receiver", "Address", "Reports wait", "Never taken", "Last try"]}
        rows={look.receivers.map((each) => ({
          key: each.name,
          cells: [each.name, each.url, each.reports, each.deadLetters, each.because || "taken"],
        }))}
      />
      <Difference />
      {use === undefined ? null : (
        <Confirm
          title={`Send queries to ${use}`}
          does="Use it"
          act={async () => ask("POST", "/v1/puppetdb/use", { id: use })}
          onClose={() => setUse(undefined)}
        >
          <p>Every courier asks {use}'s PuppetDB from then on, as long as it is fit.</p>
        </Confirm>
      )}
    </>
  );
}

function Databases(props: { puppetdbs: Snapshot["puppetdbs"]; onUse: (id: string) => void }) {
  const { puppetdbs, onUse } = props;
  return (
    <Table
      caption="PuppetDBs"
      head={[
        "PuppetDB",
        "Answers queries",
        "Commands wait",
        "Oldest",
        "Never taken",
        "Asked by",
        "Do",
      ]}
      rows={puppetdbs.map((each) => ({
        key: each.id,
        cells: [
          each.id,
          each.fit ? "yes" : `no: ${each.because}`,
          each.commands,
          each.commands === 0 ? "-" : renderDuration(each.oldestMs / 1000),
          each.deadLetters,
          each.usedBy.join(", ") || "-",
          may("operator") && each.fit ? (
            <button
              type="button"
              class="small"
              aria-label={`Use ${each.id} for queries`}
              onClick={() => onUse(each.id)}
            >
              Use…
            </button>
          ) : (
            "-"
          ),
        ],
      }))}
    />
  );
}

type Courier = CourierStatus & { id: string };

function Couriers({ couriers }: { couriers: readonly Courier[] }) {
  return (
    <Table
      caption="Couriers"
      head={["Courier", "Runs", "Queries go to", "With 1 copy", "Kept, MB"]}
      rows={couriers.map((each) => ({
        key: each.id,
        cells: [
          each.id,
          each.runs ? "yes" : `no: ${each.because}`,
          each.queries ?? "-",
          each.singleCopies,
          (each.spoolBytes / 1e6).toFixed(1),
        ],
      }))}
    />
  );
}

function Difference() {
  const [wanted, setWanted] = useState(false);
  const { answer, failure, busy, again } = useAsked<PuppetdbDiff>(
    wanted ? "/v1/puppetdb/diff" : undefined,
  );
  return (
    <section aria-labelledby="difference">
      <h2 id="difference">What differs</h2>
      <button type="button" disabled={busy} onClick={() => (wanted ? again() : setWanted(true))}>
        {busy ? "Comparing…" : "Compare all PuppetDBs"}
      </button>
      <Failure error={failure} />
      {answer === undefined ? null : (
        <>
          <p role="status">
            {answer.compared.length} were compared, {answer.total} things differ.
            {answer.missing.map(({ id, because }) => ` ${id} wasn't: ${because}.`)}
          </p>
          <Table
            caption="Differences"
            head={["Node", "What", "Who has what"]}
            rows={answer.rows.slice(0, ROWS_SHOWN).map(({ certname, kind, has }) => ({
              key: `${certname} ${kind}`,
              cells: [
                certname,
                kind,
                Object.entries(has)
                  .map(([id, what]) => `${id}: ${what}`)
                  .join("; "),
              ],
            }))}
          />
        </>
      )}
    </section>
  );
}
