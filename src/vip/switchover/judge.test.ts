import assert from "node:assert/strict";
import { test } from "node:test";
import type { SwitchoverLook } from "./acts.ts";
import { judgeSwitchover, standAside, type ServerFacts, type SwitchoverWanted } from "./judge.ts";

const VIP = "10.0.0.10";
const wish: SwitchoverWanted = { force: false };

function server(number: number, look: Partial<SwitchoverLook> = {}, held = false): ServerFacts {
  const addresses = [{ address: VIP, held, own: `10.0.0.${number}` }];
  return {
    id: `s${number}.test`,
    unfit: "",
    look: { addresses, unfit: "", problems: [], windows: [], ...look },
  };
}

const window = (change: Partial<SwitchoverLook["windows"][number]>) => ({
  id: "a1",
  side: "new" as const,
  phase: "moved" as const,
  peers: ["10.0.0.1"],
  addresses: [VIP],
  connections: 3,
  leftS: 60,
  ...change,
});

test("judgeSwitchover chooses a fit server, and says what becomes of the connections", () => {
  const judged = judgeSwitchover(wish, [VIP], [server(1, {}, true), server(2), server(3)]);
  assert.deepEqual([judged.from, judged.to, judged.refused], ["s1.test", "s2.test", ""]);
  const move = { address: VIP, breaks: "", own: "10.0.0.1", peer: "10.0.0.2" };
  assert.deepEqual(judged.moves, [move]);
  assert.match(judged.lines.join("\n"), /moves from s1.test to s2.test; its connections go on/);
});

test("judgeSwitchover prefers the server with nothing against it", () => {
  const servers = [server(1, {}, true), server(2, { problems: ["no nft"] }), server(3)];
  assert.equal(judgeSwitchover(wish, [VIP], servers).to, "s3.test");
});

const holder = server(1, {}, true);
const REFUSED: [string, SwitchoverWanted, readonly string[], ServerFacts[], RegExp][] = [
  ["without virtual IPs", wish, [], [holder, server(2)], /no virtual IP/],
  [
    "an address of somebody else",
    { ...wish, address: "10.0.0.99" },
    [VIP],
    [holder],
    /10.0.0.99 is no virtual IP/,
  ],
  [
    "an address that nobody holds",
    wish,
    [VIP],
    [server(1), server(2)],
    /nobody that answers holds/,
  ],
  [
    "an address with two holders",
    { ...wish, address: VIP },
    [VIP],
    [holder, server(2, {}, true)],
    /held by s1.test and s2.test at once/,
  ],
  ["an open question", wish, [VIP], [holder, server(2, {}, true)], /which one\?/],
  ["an unknown server", { ...wish, to: "s9" }, [VIP], [holder, server(2)], /s9 is no server/],
  ["a server alone", wish, [VIP], [holder], /no other server/],
  [
    "a server that isn't fit",
    { ...wish, to: "s2" },
    [VIP],
    [holder, { ...server(2), unfit: "its edge is down" }],
    /s2.test can't take it: its edge is down/,
  ],
  [
    "a server that doesn't answer",
    wish,
    [VIP],
    [holder, { id: "s2.test", unfit: "", because: "no answer in time" }],
    /s2.test: its daemon can't be asked: no answer in time/,
  ],
  [
    "a server without keepalived",
    wish,
    [VIP],
    [holder, server(2, { unfit: "its keepalived doesn't run" })],
    /s2.test: its keepalived/,
  ],
  [
    "a holder without keepalived, also by force",
    { ...wish, force: true },
    [VIP],
    [server(1, { unfit: "its keepalived doesn't run" }, true), server(2)],
    /s1.test can't let it go: its keepalived doesn't run.*understudy failover/,
  ],
  [
    "a server on another network",
    wish,
    [VIP],
    [holder, server(2, { addresses: [{ address: VIP, held: false }] })],
    /no interface on the subnet/,
  ],
  [
    "what would break connections",
    wish,
    [VIP],
    [holder, server(2, { problems: ["no nft"] })],
    /connections would break.*s2.test: no nft.*--force/,
  ],
  [
    "while another one is under way",
    { ...wish, force: true },
    [VIP],
    [holder, server(2, { windows: [window({ phase: "prepared" })] })],
    /another switchover is under way on s2.test/,
  ],
  [
    "what is paused, also by force",
    { ...wish, force: true },
    [VIP],
    [holder, { ...server(2), paused: true }],
    /paused on s2.test.*understudy resume/,
  ],
  [
    "a server that passes on for a third one",
    wish,
    [VIP],
    [holder, server(2, { windows: [window({ peers: ["10.0.0.3"] })] })],
    /s2.test passes connections of an earlier switchover on to 10.0.0.3/,
  ],
];
for (const [what, wanted, known, servers, expected] of REFUSED) {
  test(`judgeSwitchover refuses ${what}`, () => {
    assert.match(judgeSwitchover(wanted, known, servers).refused, expected);
  });
}

test("standAside names the others that are free to", () => {
  const servers = [
    holder,
    server(2),
    server(3),
    server(4, { windows: [window({})] }),
    { id: "s5.test", unfit: "" },
    { ...server(6), paused: true },
  ];
  assert.deepEqual(standAside({ from: "s1.test", to: "s2.test" }, servers), ["s3.test"]);
});

test("judgeSwitchover takes another server than one that is paused, where there is one", () => {
  const paused = { ...server(2), paused: true };
  const judged = judgeSwitchover(
    wish,
    [VIP],
    [holder, paused, server(3, { problems: ["no nft"] })],
  );
  assert.equal(judged.to, "s3.test");
  assert.match(judgeSwitchover(wish, [VIP], [holder, paused]).refused, /paused on s2\.test/);
});

test("judgeSwitchover goes back and forth while connections are kept", () => {
  const back = server(2, { windows: [window({})] });
  assert.equal(judgeSwitchover(wish, [VIP], [holder, back]).refused, "");
});

test("judgeSwitchover moves IPv6 only by force, and says that its connections break", () => {
  const both = (number: number, held: boolean) =>
    server(number, {
      addresses: [
        { address: VIP, held, own: `10.0.0.${number}` },
        { address: "fd00::10", held },
      ],
    });
  const known = [VIP, "fd00::10"];
  const servers = [both(1, true), both(2, false)];
  assert.match(judgeSwitchover(wish, known, servers).refused, /fd00::10: connections by IPv6/);
  const forced = judgeSwitchover({ force: true }, known, servers);
  assert.equal(forced.refused, "");
  assert.deepEqual(
    forced.moves.map(({ breaks }) => breaks !== ""),
    [false, true],
  );
});

test("judgeSwitchover has nothing to do where the address is already", () => {
  const judged = judgeSwitchover({ ...wish, to: "s1" }, [VIP], [holder, server(2)]);
  assert.deepEqual([judged.already, judged.refused], [true, ""]);
});
