import assert from "node:assert/strict";
import { test } from "node:test";
import { CHOSEN, REFUSING, RELUCTANT, WILLING } from "../priority.ts";
import type { Before, Order } from "./order.ts";
import { planHandOver, planPreparation, sysctlsOf, TABLES, takesOver } from "./plan.ts";

const KEPT = {
  address: "10.0.0.10",
  interface: "eth0",
  kept: { own: "10.0.0.1", peer: "10.0.0.2" },
};
const order = (side: Order["side"], moves: Order["moves"] = [KEPT]): Order => ({
  id: "a1",
  side,
  stand: "first",
  moves,
  limitS: 900,
});
const before = (side: Order["side"], value = "0"): Before => ({
  sysctls: Object.fromEntries(sysctlsOf(order(side)).map(({ path }) => [path, value])),
  priority: WILLING,
});
const verbs = (steps: ReturnType<typeof planPreparation>) => steps.map((step) => step.do);

test("planPreparation of the new holder comes to keepalived's number last", () => {
  const steps = planPreparation(order("new"), before("new"), []);
  assert.deepEqual(verbs(steps), ["sysctl", "table", "number"]);
  assert.deepEqual(
    steps.flatMap((step) => (step.do === "number" ? [step.priority, step.before] : [])),
    [CHOSEN, WILLING],
  );
});

test("planPreparation of the old holder silences the copy before there is one", () => {
  const steps = planPreparation(order("old"), before("old"), []);
  assert.deepEqual(verbs(steps), ["sysctl", "sysctl", "table", "address"]);
  assert.equal(planHandOver(before("old")).do, "number");
});

test("planPreparation touches no setting but those of the address's interface, and none that is so", () => {
  for (const side of ["old", "new"] as const) {
    const steps = planPreparation(order(side), before(side), []);
    for (const step of steps) {
      if (step.do === "sysctl") assert.match(step.path, /^net\/ipv4\/conf\/eth0\/\w+$/);
    }
    const strict = planPreparation(order(side), before(side, "2"), []);
    assert.ok(!verbs(strict).includes("sysctl"));
  }
});

test("planPreparation leaves alone what isn't kept: then only keepalived's number counts", () => {
  const bare = [{ address: "fd00::10", interface: "eth0" }];
  const none = { sysctls: {}, priority: -150 };
  assert.deepEqual(planPreparation(order("old", bare), none, []), []);
  assert.deepEqual(verbs(planPreparation(order("new", bare), none, [])), ["number"]);
  const handOver = planHandOver(none);
  assert.ok(handOver.do === "number" && handOver.priority === REFUSING && handOver.before === -150);
});

test("takesOver lets a window go over into one of the same servers only", () => {
  const same = order("new");
  assert.ok(takesOver(same, same));
  assert.ok(takesOver(same, order("new", [{ address: "10.0.0.10", interface: "eth0" }])));
  const elsewhere = { ...KEPT, kept: { ...KEPT.kept, peer: "10.0.0.3" } };
  for (const moves of [[elsewhere], [{ address: "10.0.0.10", interface: "eth0" }]]) {
    assert.equal(takesOver(order("new", moves), same), false);
  }
});

test("planPreparation has a server stand aside by its number alone", () => {
  const aside = {
    ...order("new", [{ address: "10.0.0.10", interface: "eth0" }]),
    stand: "aside",
  } as const;
  const [step, ...more] = planPreparation(aside, { sysctls: {}, priority: WILLING }, []);
  assert.ok(step?.do === "number" && step.priority === RELUCTANT && step.before === WILLING);
  assert.deepEqual(more, []);
});

test("planPreparation has the new holder know its own connections", () => {
  const socket = { from: "10.0.0.77", fromPort: 4711, to: "10.0.0.10", toPort: 8140 };
  const texts = planPreparation(order("new"), before("new"), [socket]).flatMap((step) =>
    step.do === "table" ? [step.text] : [],
  );
  const added = `add element netdev ${TABLES.new} mine { 10.0.0.77 . 4711 . 10.0.0.10 . 8140 }`;
  assert.ok(texts.join("").includes(added));
});
