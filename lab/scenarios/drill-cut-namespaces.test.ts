// Hazard: a server is cut off by a drill. Its kernel must drop everything that isn't loopback's,
// ARP too, which keepalived sends past the firewall; and one command must put it all back. Two
// network namespaces of this test alone; needs root, no lab.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { run, tryRun } from "../../src/host/process.ts";
import { undoLine } from "../../src/drill/apply.ts";
import { renderCut } from "../../src/drill/render-cut.ts";

const ONE = "udrill-1";
const TWO = "udrill-2";
const WITHIN_MS = 20_000;
const inside = (namespace: string, line: string) =>
  ["ip", "netns", "exec", namespace, "/bin/sh", "-c", line] as const;
const succeeds = async (namespace: string, line: string) =>
  (await tryRun(inside(namespace, line), { withinMs: WITHIN_MS })).ok;
const remove = async () => {
  for (const name of [ONE, TWO]) await tryRun(["ip", "netns", "del", name]);
};

before(async () => {
  await remove();
  for (const name of [ONE, TWO]) await run(["ip", "netns", "add", name]);
  await run(["ip", "-n", ONE, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", TWO]);
  for (const [index, name] of [ONE, TWO].entries()) {
    await run(["ip", "-n", name, "addr", "add", `10.78.0.${index + 1}/24`, "dev", "eth0"]);
    for (const device of ["lo", "eth0"]) await run(["ip", "-n", name, "link", "set", device, "up"]);
  }
});
after(remove);

/** Whether its kernel refuses a connection, instead of saying nothing. */
const reaches = async (namespace: string, address: string) =>
  succeeds(namespace, `timeout 2 bash -c '</dev/tcp/${address}/9' 2>/dev/null; [ $? = 1 ]`);
const forget = async () => {
  for (const name of [ONE, TWO]) await succeeds(name, "ip neigh flush dev eth0");
};
/** What comes in by the wire, whatever becomes of it. */
const heard = async (namespace: string) =>
  run(inside(namespace, "cat /sys/class/net/eth0/statistics/rx_packets"));
/**
 * Broadcasts by a packet socket, as keepalived does its ARP: past the firewall. Where that is cut
 * off, the kernel says that there is no buffer space.
 */
const SHOUT = `my $index = \`cat /sys/class/net/eth0/ifindex\`;
socket(my $socket, 17, 3, 0) or die $!;
my $frame = "\\xff" x 6 . "\\x02" x 6 . pack("n", 0x0806) . "\\0" x 46;
send($socket, $frame, 0, pack("SnISCCa8", 17, 0x0806, $index, 0, 0, 6, "\\xff" x 6));`;
const shout = async () => run(["ip", "netns", "exec", ONE, "perl", "-e", SHOUT]);

test("a server that is cut off is neither heard nor hears, but for itself", async () => {
  assert.ok(await reaches(TWO, "10.78.0.1"));
  const before = await heard(TWO);
  await shout();
  assert.notEqual(await heard(TWO), before, "the test's own shout is heard");

  await run(inside(ONE, "nft -f -"), { input: renderCut(["eth0"]), withinMs: WITHIN_MS });
  await forget();
  const cut = await heard(TWO);
  assert.ok(!(await reaches(ONE, "10.78.0.2")));
  await shout();
  assert.equal(await heard(TWO), cut, "something got out");
  assert.ok(!(await reaches(TWO, "10.78.0.1")));
  assert.ok(await reaches(ONE, "127.0.0.1"));
  assert.ok(await reaches(ONE, "10.78.0.1"), "its own address is by loopback");
});

test("the line that the timer runs puts it back, and may run twice", async () => {
  const undo = undoLine({ do: "cut", unit: "" });
  for (let times = 0; times < 2; times += 1) assert.ok(await succeeds(ONE, undo));
  await forget();
  assert.ok(await reaches(TWO, "10.78.0.1"));
  assert.ok(await reaches(ONE, "10.78.0.2"));
  assert.equal(await run(inside(ONE, "nft list tables")), "");
});

/** Has the namespace cut off by a process of its own, told by `over` that it is too late. */
const perform = async (over: string) => {
  const program = `
    import { perform } from ${JSON.stringify(new URL("../../src/drill/apply.ts", import.meta.url).href)};
    let asked = 0;
    const over = ${over};
    await perform({ id: "0123456789ab", do: "cut", unit: "", holdS: 20 }, over);`;
  const argv = ["ip", "netns", "exec", ONE, process.execPath, "--input-type=module", "-e", program];
  return tryRun(argv, { withinMs: WITHIN_MS });
};

test("a cut that was called off before or while it was made leaves nothing behind", async () => {
  const done = await perform('() => ""');
  assert.ok(done.ok, done.stderr);
  assert.ok(!(await reaches(TWO, "10.78.0.1")), "not called off, it cuts");
  assert.ok(await succeeds(ONE, undoLine({ do: "cut", unit: "" })));
  for (const over of ['() => "called off"', '() => (asked++ === 0 ? "" : "called off")']) {
    const { ok, stderr } = await perform(over);
    assert.ok(!ok);
    assert.match(stderr, /called off/);
    assert.equal(await run(inside(ONE, "nft list tables")), "");
  }
  await forget();
  assert.ok(await reaches(TWO, "10.78.0.1"));
});
