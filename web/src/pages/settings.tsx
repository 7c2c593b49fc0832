// The cluster's settings, and a change of them: shown before it is made, refused when somebody else
// has changed them meanwhile.

import { useEffect, useRef, useState } from "preact/hooks";
import type { ConfigChanged, ConfigDescribed } from "../../../src/setup/config-contract.ts";
import { ask, Refusal } from "../ask.ts";
import { snapshot } from "../live.ts";
import { useAsked } from "../parts/asked.ts";
import { Confirm } from "../parts/dialog.tsx";
import { Failure } from "../parts/failure.tsx";
import { Table } from "../parts/table.tsx";
import { may } from "../roles.ts";
import { overTheirs, type Wish } from "../wish.ts";

export function Settings() {
  const { answer, failure, again } = useAsked<ConfigDescribed>("/v1/config");
  const [done, setDone] = useState("");
  const { settings, etcd } = snapshot.value?.status ?? {};
  /** What changes when they do, or when they can be read again. */
  const seen = JSON.stringify([settings, etcd?.quorum]);
  const before = useRef(seen);
  useEffect(() => {
    if (seen !== before.current) again();
    before.current = seen;
  }, [seen]);
  return (
    <>
      <p role="status">{done}</p>
      <Failure error={failure} />
      {answer === undefined ? (
        <p>Reading…</p>
      ) : (
        <>
          {answer.because === "" ? null : <p>As last read: {answer.because}</p>}
          <Table
            caption="Settings of the cluster"
            head={["Setting", "Value", "What it is"]}
            rows={answer.known.map(({ key, value, what }) => ({ key, cells: [key, value, what] }))}
          />
          {may("admin") ? (
            <Edit
              shown={answer}
              onOutdated={again}
              onDone={(text) => {
                setDone(text);
                again();
              }}
            />
          ) : (
            <p>Changing them needs the role admin.</p>
          )}
        </>
      )}
    </>
  );
}

interface EditProps {
  shown: ConfigDescribed;
  /** Somebody else has changed them since they were shown. */
  onOutdated: () => void;
  onDone: (text: string) => void;
}

function Edit({ shown, onOutdated, onDone }: EditProps) {
  const [base, setBase] = useState(shown);
  const [text, setText] = useState(render(wishOf(shown)));
  const [failure, setFailure] = useState<unknown>(undefined);
  const [change, setChange] = useState<{ body: unknown; plan: ConfigChanged } | undefined>(
    undefined,
  );
  /** What the text says, put over what others have changed meanwhile. Throws Refusal. */
  const overShown = () => {
    const mine = parse(text);
    if (shown.revision === base.revision) return mine;
    const wish = overTheirs({ base: wishOf(base), mine, theirs: wishOf(shown) });
    setText(render(wish));
    setBase(shown);
    return wish;
  };
  useEffect(() => {
    if (shown.revision === base.revision) return;
    try {
      overShown();
    } catch {
      // Somebody is at it: it is put over them when he shows what it would change.
    }
  }, [shown.revision]);
  /** Asks, and has them shown anew where they are others by now. */
  const send = async (path: string, body: unknown) => {
    try {
      return await ask<ConfigChanged>("POST", path, body);
    } catch (error) {
      if (error instanceof Refusal && error.code === "config.changed") onOutdated();
      throw error;
    }
  };
  const look = async (event: Event) => {
    event.preventDefault();
    setFailure(undefined);
    try {
      const body = { revision: shown.revision, settings: overShown() };
      const plan = await send("/v1/config/plan", body);
      if (plan.changes.length === 0) throw new Refusal("config.same", "nothing would change");
      setChange({ body, plan });
    } catch (error) {
      setFailure(error);
    }
  };
  return (
    <section aria-labelledby="edit">
      <h2 id="edit">Change them</h2>
      <form onSubmit={(event) => void look(event)}>
        <label for="settings">
          All that may be changed, as JSON; what is left out is as by default
        </label>
        <textarea
          id="settings"
          rows={14}
          spellcheck={false}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
        <Failure error={failure} />
        <button>Show what would change</button>
      </form>
      {change === undefined ? null : (
        <Confirm
          title="Change the settings"
          does="Change"
          act={async () => {
            await send("/v1/config", change.body);
            onDone("The settings are changed. Every member takes them within seconds.");
          }}
          onClose={() => setChange(undefined)}
        >
          <ul>
            {change.plan.changes.map(({ key, from, to }) => (
              <li key={key}>
                <strong>{key}</strong>: {from} → {to}
              </li>
            ))}
          </ul>
        </Confirm>
      )}
    </section>
  );
}

/** What of the settings may be changed. */
function wishOf({ settings, known }: ConfigDescribed): Wish {
  const all: Wish = settings;
  return Object.fromEntries(
    known.flatMap(({ key }) => (all[key] === undefined ? [] : [[key, all[key]]])),
  );
}

function render(wish: Wish): string {
  return JSON.stringify(wish, undefined, 2);
}

/** Throws Refusal for what isn't an object. */
function parse(text: string): Wish {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch (error) {
    throw new Refusal("config.text", `this isn't JSON: ${String(error)}`);
  }
  if (typeof read === "object" && read !== null && !Array.isArray(read)) return { ...read };
  throw new Refusal("config.text", "this is no JSON object: it begins with {");
}
