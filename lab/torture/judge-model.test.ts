// The judge against a model: whatever a CA does that keeps its promises has no breach, and each
// promise that is broken in such a history is found.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { type Act, type CrlOnDisk, type History, isDone, type LastState } from "./history.ts";
import { listBreaches } from "./judge.ts";

const SERVERS = ["s1", "s2", "s3"];
const RUNS = 300;

/** One request. `answered`: whether its answer comes; `happens`: whether it is done without. */
const Step = fc.record({
  op: fc.constantFrom("submit", "submit", "fetch", "renew", "revoke", "clean", "use", "crl"),
  name: fc.constantFrom("a", "b", "c", "d"),
  server: fc.constantFrom(...SERVERS),
  answered: fc.boolean(),
  happens: fc.boolean(),
  /** Whether one edge can't confirm a revocation at once. */
  open: fc.boolean(),
  pick: fc.nat(),
});
type Step = typeof Step extends fc.Arbitrary<infer T> ? T : never;

interface Given {
  serial: string;
  name: string;
  key: string;
}

const seenOf = ({ serial, key }: Given) => ({ serial, key, sha256: `sha-${serial}` });

/** An authority that does everything right, and what its clients saw. */
class Model {
  readonly acts: Act[] = [];
  readonly crls: CrlOnDisk[] = [];
  readonly #given: Given[] = [];
  readonly #names = new Map<string, Given>();
  readonly #revoked = new Set<string>();
  #crl = 1;

  play(step: Step): void {
    const { op, name, server, answered, happens } = step;
    const fromMs = this.acts.length * 10;
    const isDoneNow = answered || happens;
    const sent = (status: number) => ({
      client: 0,
      server,
      fromMs,
      toMs: fromMs + 5,
      status: answered ? status : 0,
    });
    const current = this.#names.get(name);
    if (op === "submit") {
      const key = `key-${fromMs}`;
      this.acts.push({ ...sent(current === undefined ? 200 : 400), op, name, key });
      if (current === undefined && isDoneNow) this.#issue(name, key);
    } else if (op === "fetch") {
      const seen = answered && current !== undefined ? { seen: seenOf(current) } : {};
      this.acts.push({ ...sent(current === undefined ? 404 : 200), op, name, ...seen });
    } else if (op === "renew") {
      const may = current !== undefined && !this.#revoked.has(current.serial);
      const fresh = may && isDoneNow ? this.#issue(name, current.key) : undefined;
      const seen = answered && fresh !== undefined ? { seen: seenOf(fresh) } : {};
      this.acts.push({ ...sent(may ? 200 : 403), op, name, ...seen });
    } else if (op === "revoke" || op === "clean") {
      const open = step.open && answered ? ["s3"] : [];
      this.acts.push({ ...sent(current === undefined ? 404 : 200), op, name, open });
      if (current !== undefined && isDoneNow) this.#end(name, op === "clean", fromMs);
    } else if (op === "use") {
      const known = this.#given.filter((each) => each.name === name);
      const used = known[step.pick % known.length];
      if (used === undefined) return;
      const status = this.#revoked.has(used.serial) ? 403 : 200;
      this.acts.push({ ...sent(status), op, name, serial: used.serial });
    } else {
      const crl = { number: this.#crl, sha256: `crl-${this.#crl}` };
      this.acts.push({ ...sent(200), op: "crl", ...(answered ? crl : {}) });
    }
  }

  #issue(name: string, key: string): Given {
    const given = { serial: String(this.#given.length + 1), name, key };
    this.#given.push(given);
    this.#names.set(name, given);
    return given;
  }

  #end(name: string, forget: boolean, atMs: number): void {
    for (const given of this.#given) if (given.name === name) this.#revoked.add(given.serial);
    if (forget) this.#names.delete(name);
    this.#crl += 1;
    for (const server of SERVERS) {
      this.crls.push({ server, atMs, number: this.#crl, sha256: `crl-${this.#crl}` });
    }
  }

  history(): History {
    const signed = () => new Map([...this.#names].map(([name, given]) => [name, seenOf(given)]));
    const last = SERVERS.map((server): LastState => ({
      server,
      inventory: this.#given.map(({ serial, name }) => ({ serial, name })),
      signed: signed(),
      crl: {
        number: this.#crl,
        sha256: `crl-${this.#crl}`,
        serials: new Set(this.#revoked),
      },
    }));
    const confirmed = { atMs: this.acts.length * 10, serials: new Set(this.#revoked) };
    return { acts: this.acts, crls: this.crls, last, confirmed };
  }
}

function historyOf(steps: readonly Step[]): History {
  const model = new Model();
  for (const step of steps) model.play(step);
  return model.history();
}

const Steps = fc.array(Step, { minLength: 1, maxLength: 60, size: "max" });

test("listBreaches finds nothing in whatever an authority does that keeps its promises", () => {
  fc.assert(
    fc.property(Steps, (steps) => assert.deepEqual(listBreaches(historyOf(steps)), [])),
    { numRuns: RUNS },
  );
});

const withServer = (history: History, at: number, change: (last: LastState) => LastState) => ({
  ...history,
  last: history.last.map((last, index) => (index === at % SERVERS.length ? change(last) : last)),
});
const everywhere = (history: History, change: (last: LastState) => LastState) => ({
  ...history,
  last: history.last.map(change),
});
const seenIn = ({ acts }: History) =>
  acts.flatMap((act) =>
    (act.op === "fetch" || act.op === "renew") && act.seen !== undefined
      ? [{ act, seen: act.seen }]
      : [],
  );
const at = (fromMs: number) => ({ client: 0, server: "s1", fromMs, toMs: fromMs + 5, status: 200 });
const endOf = ({ acts }: History) => acts.length * 10;
/** The serials that an acknowledged revocation ended, all edges confirming. */
const endedIn = (history: History) =>
  seenIn(history).filter(({ act }) =>
    history.acts.some(
      (end) =>
        (end.op === "revoke" || end.op === "clean") &&
        isDone(end) &&
        end.open.length === 0 &&
        end.name === act.name &&
        end.fromMs >= act.toMs,
    ),
  );

/** Each breaks one promise; undefined: there is nothing to break it with. */
const BREAKS: Record<string, (history: History, pick: number) => History | undefined> = {
  "a serial is given twice": (history) => {
    const [first] = seenIn(history);
    if (first === undefined) return undefined;
    const seen = { ...first.seen, sha256: "another" };
    const act: Act = { ...at(endOf(history)), op: "fetch", name: "z", seen };
    return { ...history, acts: [...history.acts, act] };
  },
  "one server lacks an acknowledged certificate": (history, pick) => {
    const [first] = seenIn(history);
    if (first === undefined) return undefined;
    return withServer(history, pick, (last) => ({
      ...last,
      inventory: last.inventory.filter(({ serial }) => serial !== first.seen.serial),
    }));
  },
  "no server has an acknowledged certificate": (history) => {
    const [first] = seenIn(history);
    if (first === undefined) return undefined;
    return everywhere(history, (last) => ({
      ...last,
      inventory: last.inventory.filter(({ serial }) => serial !== first.seen.serial),
    }));
  },
  "a name has two holders": (history) => {
    const first = seenIn(history).find(
      ({ act }) => !history.acts.some((one) => one.op === "clean" && one.name === act.name),
    );
    if (first === undefined) return undefined;
    const seen = { ...first.seen, serial: "999", sha256: "sha-999", key: "another" };
    const act: Act = { ...at(endOf(history)), op: "fetch", name: first.act.name, seen };
    return everywhere({ ...history, acts: [...history.acts, act] }, (last) => ({
      ...last,
      inventory: [...last.inventory, { serial: "999", name: first.act.name }],
    }));
  },
  "a revocation is in no CRL": (history) => {
    const [first] = endedIn(history);
    if (first === undefined) return undefined;
    return everywhere(history, ({ crl, ...last }) => ({
      ...last,
      crl: { ...crl, serials: new Set([...crl.serials].filter((it) => it !== first.seen.serial)) },
    }));
  },
  "one that was revoked passes": (history) => {
    const [first] = endedIn(history);
    if (first === undefined) return undefined;
    const { name } = first.act;
    const act: Act = { ...at(endOf(history)), op: "use", name, serial: first.seen.serial };
    return { ...history, acts: [...history.acts, act], confirmed: { atMs: 0, serials: new Set() } };
  },
  "an edge that couldn't confirm never does": ({ confirmed, ...history }) => {
    const [serial] = confirmed?.serials ?? [];
    if (confirmed === undefined || serial === undefined) return undefined;
    const act: Act = { ...at(confirmed.atMs), op: "use", name: "z", serial, server: "s3" };
    return { ...history, confirmed, acts: [...history.acts, act] };
  },
  "a server's CRL goes back": (history) => {
    const before = history.crls.at(-1);
    if (before === undefined) return undefined;
    const older = { ...before, atMs: endOf(history), number: 1, sha256: "crl-1" };
    return { ...history, crls: [...history.crls, older] };
  },
  "the newest CRL is lost": (history) => {
    const number = (history.last[0]?.crl.number ?? 0) + 1;
    const act: Act = { ...at(endOf(history)), op: "crl", number, sha256: `crl-${number}` };
    return { ...history, acts: [...history.acts, act] };
  },
  "a number has two contents": (history, pick) =>
    withServer(history, pick, ({ crl, ...last }) => ({
      ...last,
      crl: { ...crl, sha256: "another" },
    })),
};

for (const [what, spoil] of Object.entries(BREAKS)) {
  test(`listBreaches finds that ${what}, whatever else was done`, () => {
    let broken = 0;
    fc.assert(
      fc.property(Steps, fc.nat(), (steps, pick) => {
        const spoilt = spoil(historyOf(steps), pick);
        if (spoilt === undefined) return;
        broken += 1;
        assert.notDeepEqual(listBreaches(spoilt), []);
      }),
      { numRuns: RUNS },
    );
    assert.ok(broken > RUNS / 20, `only ${broken} histories had anything to break`);
  });
}
