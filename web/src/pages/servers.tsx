// Puppetservers as all edges together see them, live; and servers taken out and back.

import { useMemo, useState } from "preact/hooks";
import type { ClusterStatus, MemberAnswer } from "../../../src/cluster/status.ts";
import type { DrainPlan } from "../../../src/setup/work-contract.ts";
import { ask } from "../ask.ts";
import { seconds } from "../format.ts";
import { type Figures, nowMs, samples, snapshot } from "../live.ts";
import { useAsked } from "../parts/asked.ts";
import { Chart, round } from "../parts/chart.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { Failure } from "../parts/failure.tsx";
import { Table } from "../parts/table.tsx";
import { may } from "../roles.ts";
import { Why } from "./overview.tsx";

export function Servers() {
  const look = snapshot.value;
  if (look === undefined) return <p>Asking every member…</p>;
  const names = look.puppetservers.map(({ name }) => name);
  return (
    <>
      <Table
        caption="Puppetservers"
        head={["Puppetserver", "State", "JRubies busy", "Waiting", "Requests/s", "Answers in"]}
        rows={look.puppetservers.map((each) => ({
          key: each.name,
          cells: [
            each.name,
            `${each.state} ${each.state === "up" ? "" : each.because}`.trim(),
            `${each.busy} of ${each.jrubies}`,
            each.waiting,
            each.perS.toFixed(1),
            seconds(each.responseMs),
          ],
        }))}
      />
      <section aria-label="Charts" class="charts">
        <Live title="Requests/s" names={names} pick={({ perS }) => perS} />
        <Live title="Requests waiting" names={names} pick={({ waiting }) => waiting} />
        <Live title="JRubies busy" names={names} pick={({ busy }) => busy} />
      </section>
      <Members />
    </>
  );
}

/** A line for each puppetserver over the last minutes. */
function Live(props: {
  title: string;
  names: readonly string[];
  pick: (figures: Figures) => number;
}) {
  const { title, names, pick } = props;
  const looks = samples.value;
  const times = useMemo(() => looks.map(({ atMs }) => atMs), [looks]);
  const lines = names.map((name) => ({
    name,
    values: looks.map(({ of }) => {
      const figures = of.get(name);
      return figures === undefined ? null : pick(figures);
    }),
  }));
  const now = lines.map(({ name, values }) => `${name} ${round(values.at(-1) ?? Number.NaN)}`);
  return <Chart {...{ title, times, lines }} label={`${title}, now: ${now.join(", ")}`} />;
}

type Act = "drain" | "undrain" | "why";

function Members() {
  const [asked, setAsked] = useState<{ what: Act; id: string }>();
  const { members = [], work = { drains: [] } } = snapshot.value?.status ?? {};
  const close = () => setAsked(undefined);
  const rows = members.map((answer) => ({
    key: answer.member.id,
    cells: cellsOf(answer, isDrained(answer, work), (what) =>
      setAsked({ what, id: answer.member.id }),
    ),
  }));
  return (
    <>
      <Table
        caption="Members"
        head={["Member", "Do", "State", "Address", "Edge", "Connections", "Sent on"]}
        rows={rows}
      />
      {asked?.what === "why" ? <Why about={asked.id} onClose={close} /> : null}
      {asked?.what === "drain" ? <Drain id={asked.id} onClose={close} /> : null}
      {asked?.what === "undrain" ? (
        <Confirm
          title={`Undrain ${asked.id}`}
          does="Undrain"
          act={async () => ask("DELETE", `/v1/drains/${encodeURIComponent(asked.id)}`)}
          onClose={close}
        >
          <p>It gets agents and addresses again.</p>
        </Confirm>
      ) : null}
    </>
  );
}

/** As it says itself; of one that says nothing, as one that is switched off, the record knows. */
function isDrained({ member, local }: MemberAnswer, { drains }: ClusterStatus["work"]): boolean {
  if (local !== undefined) return local.drained === true;
  const drain = drains.find(({ id }) => id === member.id);
  const { until } = drain ?? {};
  return drain !== undefined && (until === undefined || Date.parse(until) > nowMs.value);
}

function cellsOf(
  { member, local, because }: MemberAnswer,
  drained: boolean,
  onAsk: (what: Act) => void,
) {
  const edge = local?.edge;
  return [
    member.id,
    <>
      <button
        type="button"
        class="small"
        aria-label={`Why is ${member.id} so?`}
        onClick={() => onAsk("why")}
      >
        Why?
      </button>{" "}
      {may("operator") && member.role !== "witness" ? (
        <button
          type="button"
          class="small"
          aria-label={`${drained ? "Undrain" : "Drain"} ${member.id}`}
          onClick={() => onAsk(drained ? "undrain" : "drain")}
        >
          {drained ? "Undrain" : "Drain"}
        </button>
      ) : null}
    </>,
    local === undefined
      ? `no answer: ${because}${drained ? " (drained)" : ""}`
      : drained
        ? "drained"
        : local.phase,
    local?.addresses.join(" ") || "-",
    edge === undefined
      ? "-"
      : edge.active
        ? `takes agents, ${edge.waiting} wait`
        : `down: ${edge.because}`,
    edge?.connections ?? "-",
    edge?.replays ?? "-",
  ];
}

function Drain({ id, onClose }: { id: string; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const { answer, failure } = useAsked<DrainPlan>(`/v1/drains/${encodeURIComponent(id)}/plan`);
  return (
    <Confirm
      title={`Drain ${id}`}
      does="Drain"
      act={async () => ask("POST", "/v1/drains", { name: id, reason })}
      onClose={onClose}
    >
      <Failure error={failure} />
      {answer === undefined ? <p>Asking what it means…</p> : <PlanOf {...answer} />}
      <p>
        <label for="reason">Reason</label>
        <input
          id="reason"
          value={reason}
          maxLength={200}
          onInput={({ currentTarget }) => setReason(currentTarget.value)}
        />
      </p>
    </Confirm>
  );
}

function PlanOf({ refused, steps, risks }: DrainPlan) {
  return (
    <>
      {refused === "" ? null : (
        <p>
          <strong>It will be refused:</strong> {refused}
        </p>
      )}
      <ul>
        {steps.map(({ what, because }) => (
          <li key={what}>
            {what}: {because}
          </li>
        ))}
        {risks.map((risk) => (
          <li key={risk}>
            <strong>Risk:</strong> {risk}
          </li>
        ))}
      </ul>
    </>
  );
}
