// The certificate authority: requests that wait, certificates by name, signing and revoking.

import { useEffect, useRef, useState } from "preact/hooks";
import type { ClusterStatus } from "../../../src/cluster/status.ts";
import type { CaList, CaOutcome, CaShown } from "../../../src/setup/contract.ts";
import { ask, Refusal } from "../ask.ts";
import { countOf } from "../format.ts";
import { snapshot } from "../live.ts";
import { useAsked } from "../parts/asked.ts";
import { Confirm, Dialog } from "../parts/dialog.tsx";
import { Failure } from "../parts/failure.tsx";
import { Table } from "../parts/table.tsx";
import { may } from "../roles.ts";

const REQUESTS_SHOWN = 200;
const CERTIFICATES_SHOWN = 100;

type Entry = CaList["entries"][number];
type Ask = { what: "sign" | "revoke" | "show"; entry: Entry };

export function Certificates() {
  const [pattern, setPattern] = useState("");
  const [state, setState] = useState("signed");
  const [asked, setAsked] = useState<Ask | undefined>(undefined);
  const [done, setDone] = useState("");
  const requests = useAsked<CaList>(`/v1/ca?state=requested&limit=${REQUESTS_SHOWN}`);
  const search = new URLSearchParams({ state, limit: String(CERTIFICATES_SHOWN) });
  if (pattern !== "") search.set("pattern", pattern);
  const certificates = useAsked<CaList>(`/v1/ca?${search.toString()}`);
  const readAnew = () => {
    requests.again();
    certificates.again();
  };
  const counts = countsOf(snapshot.value?.status);
  const before = useRef(counts);
  useEffect(() => {
    if (before.current !== "" && counts !== before.current) readAnew();
    before.current = counts;
  }, [counts]);
  const outcome = useRef<HTMLParagraphElement>(null);
  const isTold = useRef(true);
  const finish = (text: string) => {
    setDone(text);
    isTold.current = false;
  };
  const close = () => {
    setAsked(undefined);
    readAnew();
  };
  useEffect(() => {
    // The button that was pressed goes with its row, and the focus would be nowhere.
    if (asked === undefined && !isTold.current) outcome.current?.focus();
    isTold.current = true;
  }, [asked]);
  return (
    <>
      <p role="status" ref={outcome} tabIndex={-1}>
        {done}
      </p>
      <Failure error={requests.failure} />
      {requests.answer === undefined ? null : <Requests list={requests.answer} onAsk={setAsked} />}
      <Search onSearch={setPattern} state={state} onState={setState} />
      <Failure error={certificates.failure} />
      {certificates.answer === undefined ? (
        <p>Reading…</p>
      ) : (
        <List list={certificates.answer} onAsk={setAsked} />
      )}
      <Doing asked={asked} onDone={finish} onClose={close} />
    </>
  );
}

/** What changes whenever a request comes or goes, or a certificate does; empty: not known. */
function countsOf(status: ClusterStatus | undefined): string {
  const own = status?.members.find(({ member }) => member.id === status.answeredBy)?.local?.ca;
  return own === undefined ? "" : [own.requests, own.certificates, own.crlNumber].join(" ");
}

interface ListProps {
  list: CaList;
  onAsk: (asked: Ask) => void;
}

function Requests({ list: { total, entries }, onAsk }: ListProps) {
  return (
    <>
      <Table
        caption="Requests that wait"
        head={["Name", "Do", "Besides its name", "Fingerprint"]}
        none="no agent waits."
        rows={entries.map((entry) => ({
          key: entry.name,
          cells: [
            entry.name,
            may("operator") ? (
              <button
                type="button"
                class="small"
                aria-label={`Sign ${entry.name}`}
                onClick={() => onAsk({ what: "sign", entry })}
              >
                Sign…
              </button>
            ) : (
              "-"
            ),
            besides(entry) || "-",
            <code class="fingerprint">{entry.fingerprint}</code>,
          ],
        }))}
      />
      <More total={total} shown={entries.length} />
    </>
  );
}

/** What a certificate is or would be good for besides its name: more may be meant by it. */
function besides({ name, altNames, extensions }: Omit<Entry, "state" | "fingerprint">): string {
  const others = altNames.filter((altName) => altName !== `DNS:${name}`);
  return [...others, ...Object.entries(extensions).map((each) => each.join("="))].join(", ");
}

function Search(props: {
  onSearch: (pattern: string) => void;
  state: string;
  onState: (state: string) => void;
}) {
  const { onSearch, state, onState } = props;
  const [text, setText] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    const wanted = text.trim().toLowerCase();
    // A word is meant to be somewhere in the name.
    onSearch(wanted === "" || /[*?]/.test(wanted) ? wanted : `*${wanted}*`);
  };
  return (
    <form role="search" class="search" onSubmit={submit}>
      <label for="pattern">Name</label>
      <input
        id="pattern"
        type="search"
        placeholder="web or web*.example.com"
        maxLength={200}
        autocapitalize="off"
        spellcheck={false}
        value={text}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
      />
      <label for="state">State</label>
      <select
        id="state"
        value={state}
        onChange={({ currentTarget }) => onState(currentTarget.value)}
      >
        <option value="signed">signed</option>
        <option value="revoked">revoked</option>
      </select>
      <button>Search</button>
    </form>
  );
}

function List({ list: { total, entries }, onAsk }: ListProps) {
  return (
    <>
      <Table
        caption="Certificates"
        head={["Name", "Do", "State", "Serial", "Ends"]}
        rows={entries.map((entry) => ({
          key: `${entry.name} ${entry.serial}`,
          cells: [
            entry.name,
            <>
              <button
                type="button"
                class="small"
                aria-label={`Show ${entry.name}`}
                onClick={() => onAsk({ what: "show", entry })}
              >
                Show
              </button>{" "}
              {may("admin") && entry.state === "signed" ? (
                <button
                  type="button"
                  class="small"
                  aria-label={`Revoke ${entry.name}`}
                  onClick={() => onAsk({ what: "revoke", entry })}
                >
                  Revoke…
                </button>
              ) : null}
            </>,
            entry.state,
            <code>{entry.serial ?? "-"}</code>,
            entry.notAfter?.slice(0, 10) ?? "-",
          ],
        }))}
      />
      <More total={total} shown={entries.length} />
    </>
  );
}

function More({ total, shown }: { total: number; shown: number }) {
  if (total <= shown) return null;
  return (
    <p>
      {shown} of {total} are shown: search for a name.
    </p>
  );
}

function Doing(props: {
  asked: Ask | undefined;
  onDone: (text: string) => void;
  onClose: () => void;
}) {
  const { asked, onDone, onClose } = props;
  if (asked === undefined) return null;
  const { what, entry } = asked;
  if (what === "show") return <Show name={entry.name} onClose={onClose} />;
  const act = async () => {
    if (what === "sign") await requireSame(entry);
    const body = { names: [entry.name] };
    onDone(told(what, entry.name, await ask<CaOutcome>("POST", `/v1/ca/${what}`, body)));
  };
  if (what === "sign") {
    return (
      <Confirm title={`Sign ${entry.name}`} does="Sign" act={act} onClose={onClose}>
        <p>Compare with what the agent shows (puppet ssl show):</p>
        <p>
          <code class="fingerprint">{entry.fingerprint}</code>
        </p>
        {besides(entry) === "" ? null : (
          <p>
            <strong>It asks for more than its name:</strong> {besides(entry)}
          </p>
        )}
      </Confirm>
    );
  }
  return (
    <Confirm
      title={`Revoke ${entry.name}`}
      does="Revoke"
      type={entry.name}
      act={act}
      onClose={onClose}
    >
      <p>
        Every server refuses it from then on: its agent gets no catalog until it has a new
        certificate. This can't be undone.
      </p>
    </Confirm>
  );
}

/**
 * Throws Refusal where another request waits by now than the one that somebody has compared, as
 * after a clean, or where duplicates are allowed: signing goes by the name.
 */
async function requireSame({ name, fingerprint }: Entry): Promise<void> {
  const search = new URLSearchParams({ state: "requested", pattern: name });
  const { entries } = await ask<CaList>("GET", `/v1/ca?${search.toString()}`);
  const now = entries.find((each) => each.name === name);
  // Where none waits, the answer to signing says what became of it.
  if (now === undefined || now.fingerprint === fingerprint) return;
  const why = `another request waits under this name now, with the fingerprint ${now.fingerprint}`;
  throw new Refusal("ca.other-request", why, ["Cancel, and compare that one."]);
}

/** How it came out. Throws Refusal where it wasn't done. */
function told(what: "sign" | "revoke", name: string, outcome: CaOutcome): string {
  const [result] = outcome.results;
  if (result?.ok !== true) throw new Refusal("ca.refused", result?.because ?? "no answer");
  const copies = outcome.copies === 1 ? " 1 copy: no other server has it yet." : "";
  if (what === "sign") return `${name} is signed.${copies}`;
  const missing = outcome.edges?.missing ?? [];
  const confirmed = countOf(outcome.edges?.confirmed.length ?? 0, "edge");
  const open = missing.map(({ member, because }) => `${member} hasn't confirmed: ${because}.`);
  return [`${name} is revoked, ${confirmed} refuse it.${copies}`, ...open].join(" ");
}

function Show({ name, onClose }: { name: string; onClose: () => void }) {
  const { answer, failure } = useAsked<CaShown>(`/v1/ca/show/${encodeURIComponent(name)}`);
  return (
    <Dialog title={name} onClose={onClose}>
      <Failure error={failure} />
      {(answer?.certificates ?? []).map((each) => (
        <dl key={each.serial}>
          <dt>Serial</dt>
          <dd>
            <code>{each.serial}</code>, {each.state}
          </dd>
          <dt>Valid</dt>
          <dd>
            {each.notBefore} to {each.notAfter}
          </dd>
          <dt>Signed</dt>
          <dd>
            {each.signedAt} by {each.signedBy}
          </dd>
          {each.revokedAt === undefined ? null : (
            <>
              <dt>Revoked</dt>
              <dd>{each.revokedAt}</dd>
            </>
          )}
          <dt>Besides its name</dt>
          <dd>
            {besides({ ...each, name: each.certname, extensions: each.authorizationExtensions }) ||
              "nothing"}
          </dd>
          <dt>Fingerprint</dt>
          <dd>
            <code class="fingerprint">{each.fingerprint}</code>
          </dd>
        </dl>
      ))}
      <form method="dialog" class="buttons">
        <button>Close</button>
      </form>
    </Dialog>
  );
}
