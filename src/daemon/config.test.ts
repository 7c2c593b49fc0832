import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { editSettings } from "../cli/config-edit.ts";
import { FORMER_SETTINGS_PREFIX, SETTINGS_KEY } from "../cluster/keys.ts";
import { updateSettings } from "../cluster/record.ts";
import { Settings } from "../cluster/schema.ts";
import { editableOf } from "../cluster/settings/catalog.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import type { View } from "../cluster/view.ts";
import type { Etcd } from "../etcd/types.ts";
import type { LocalAddress } from "../host/network.ts";
import { createTestSite } from "../setup/testing/site.ts";
import { configCommands } from "./config.ts";

let cluster: EtcdTestCluster;
let etcd: Etcd;
before(async () => {
  cluster = await startEtcdCluster();
  etcd = (await createTestSite(cluster)).etcd;
});
after(async () => cluster.close());
beforeEach(async () => {
  const value = JSON.stringify({ sharedName: "puppet.lab.test" });
  await etcd.transact({
    when: [],
    then: [{ deletePrefix: FORMER_SETTINGS_PREFIX }, { put: SETTINGS_KEY, value }],
  });
});

/** The commands of one member; its interface is on 10.0.0.0/24. */
function member(seen?: View) {
  let woken = 0;
  const local: LocalAddress[] = [{ interface: "eth0", address: "10.0.0.1", prefix: 24, family: 4 }];
  const config = configCommands({
    etcd,
    node: { role: "server" },
    keeper: { current: () => seen },
    wake: () => (woken += 1),
    addresses: async () => local,
  });
  const edit = async (more: object) => {
    const { revision, settings } = await config.show();
    return { revision, settings: { ...editableOf(settings), ...more } };
  };
  return { config, edit, woken: () => woken };
}

test("config.change changes what is to be, tells what that was, and wakes the view", async () => {
  const { config, edit, woken } = member();
  const done = await config.change(await edit({ voters: 5 }));
  assert.deepEqual(done.changes, [{ key: "voters", from: "3", to: "5" }]);
  const shown = await config.show();
  assert.equal(shown.settings.voters, 5);
  assert.equal(shown.revision, done.revision);
  assert.equal(woken(), 1);
});

test("of two editors the second is told, and nothing of the first is lost", async () => {
  const [first, second] = [member(), member()];
  const [mine, theirs] = [
    await first.edit({ voters: 5 }),
    await second.edit({ isolatedEdge: "refuse" }),
  ];
  await first.config.change(mine);
  await assert.rejects(second.config.change(theirs), (error) => isFault(error, "config.changed"));
  const { settings } = await first.config.show();
  assert.deepEqual([settings.voters, settings.isolatedEdge], [5, "serve"]);
  await second.config.change(await second.edit({ isolatedEdge: "refuse" }));
  const both = (await first.config.show()).settings;
  assert.deepEqual([both.voters, both.isolatedEdge], [5, "refuse"]);
});

test("a text that was refused is refused again, until it says that it knows what has changed since", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-config-test-"));
  const { VISUAL } = process.env;
  t.after(async () => {
    process.env["VISUAL"] = VISUAL;
    if (VISUAL === undefined) delete process.env["VISUAL"];
    await rm(folder, { recursive: true });
  });
  const mine = join(folder, "mine.jsonc");
  const { config, edit } = member();
  const said: string[] = [];
  const output = { json: false, result: () => {}, progress: (line: string) => said.push(line) };
  /** Edits with `script`, which is of sh and has its file in "$1"; keeps what was edited. */
  const run = async (script: string, flags: { file?: string } = {}, door = config) => {
    process.env["VISUAL"] = `f() { ${script}; cp "$1" ${mine}; }; f`;
    return editSettings(flags, output, door);
  };
  const { revision } = await config.show();
  let newer = 0;
  // Somebody else is quicker than the first editor.
  const show = async () => {
    const shown = await config.show();
    if (newer === 0) newer = (await config.change(await edit({ voters: 5 }))).revision;
    return shown;
  };
  const refuse = `sed -i 's/"isolatedEdge": "serve"/"isolatedEdge": "refuse"/' "$1"`;
  const first = run(refuse, {}, { ...config, show });
  const refused = (error: unknown) => isFault(error, "config.changed");
  await assert.rejects(first, refused);
  for (let times = 0; times < 2; times += 1)
    await assert.rejects(run("true", { file: mine }), refused);
  assert.equal((await config.show()).settings.voters, 5);
  assert.match(said.join("\n"), new RegExp(`since revision ${revision}.*\n  voters: 3 → 5\n`));
  assert.match(said.join("\n"), new RegExp(`"revision ${newer}"`));
  await run(
    `sed -i 's/revision ${revision}:/revision ${newer}:/; s/"voters": 3/"voters": 5/' "$1"`,
    { file: mine },
  );
  const { settings } = await config.show();
  assert.deepEqual([settings.voters, settings.isolatedEdge], [5, "refuse"]);
  assert.match(await readFile(mine, "utf8"), /"refuse"/);
});

test("a text that was edited to see what it would change is kept", async (t) => {
  const { VISUAL } = process.env;
  t.after(() => {
    process.env["VISUAL"] = VISUAL;
    if (VISUAL === undefined) delete process.env["VISUAL"];
  });
  const said: string[] = [];
  const output = { json: false, result: () => {}, progress: (line: string) => said.push(line) };
  process.env["VISUAL"] = `sed -i 's/"isolatedEdge": "serve"/"isolatedEdge": "refuse"/'`;
  const { config } = member();
  const door: typeof config = { ...config, change: async (wish) => config.plan(wish) };
  const done = await editSettings({ dryRun: true }, output, door);
  assert.equal(done?.changes.length, 1);
  assert.equal((await config.show()).settings.isolatedEdge, "serve");
  const [, kept] = /config edit --file (\/\S+)$/m.exec(said.join("\n")) ?? [];
  assert.ok(kept !== undefined, "where it is kept is said");
  assert.match(await readFile(kept, "utf8"), /"isolatedEdge": "refuse"/);
  await rm(dirname(kept), { recursive: true });
});

test("Ctrl-C in an editor that goes on after it ends neither the command nor the editor", async (t) => {
  const { VISUAL } = process.env;
  t.after(() => {
    process.env["VISUAL"] = VISUAL;
    if (VISUAL === undefined) delete process.env["VISUAL"];
  });
  const output = { json: false, result: () => {}, progress: () => {} };
  // A terminal sends it to the command, the shell and the editor.
  process.env["VISUAL"] =
    `f() { kill -INT $PPID $$; sed -i 's/"isolatedEdge": "serve"/"isolatedEdge": "refuse"/' "$1"; }; f`;
  const done = await editSettings({}, output, member().config);
  assert.deepEqual(
    done?.changes.map(({ key }) => key),
    ["isolatedEdge"],
  );
  assert.equal(process.listenerCount("SIGINT"), 0);
});

test("a dozen editors at once: one is first, and all others are told", async () => {
  const { config, edit } = member();
  const wish = await edit({});
  const outcomes = await Promise.allSettled(
    Array.from({ length: 12 }, async (_, index) =>
      config.change({
        ...wish,
        settings: { ...wish.settings, puppetdbClients: [`c${index}.test`] },
      }),
    ),
  );
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") assert.ok(isFault(outcome.reason, "config.changed"));
  }
});

test("config.plan changes nothing, and refuses what change would", async () => {
  const { config, edit, woken } = member();
  const before = await config.show();
  assert.equal((await config.plan(await edit({ voters: 5 }))).changes.length, 1);
  await assert.rejects(config.plan(await edit({ voters: 4 })), (error) =>
    isFault(error, "config.refused"),
  );
  assert.deepEqual(await config.show(), before);
  assert.equal(woken(), 0);
  const late = await edit({ voters: 5 });
  await member().config.change(await edit({ isolatedEdge: "refuse" }));
  await assert.rejects(config.plan(late), (error) => isFault(error, "config.changed"));
});

test("an address that has no interface here is refused", async () => {
  const { config, edit } = member();
  await assert.rejects(config.change(await edit({ virtualIps: ["192.168.9.1/24"] })), (error) =>
    isFault(error, "vip.no-interface"),
  );
  const two = await edit({ virtualIps: ["10.0.0.10/24", "192.168.9.1/24"] });
  await assert.rejects(config.change(two), (error) => isFault(error, "config.refused"));
  await config.change(await edit({ virtualIps: ["10.0.0.10/24"] }));
});

test("what the settings were is kept, whoever changed them, and can be had again", async () => {
  const { config, edit } = member();
  const { revision } = await config.show();
  await config.change(await edit({ voters: 5 }));
  await updateSettings(etcd, (settings) => ({ ...settings, puppetdbUse: { id: "s1", at: "now" } }));
  const { former } = await config.former();
  assert.deepEqual(
    former.map(({ changes }) => changes.map(({ key }) => key)),
    [["voters"], ["puppetdbUse"]],
  );
  assert.equal(former[0]?.revision, revision);
  const { settings } = await config.formerAt(revision);
  await config.change(await edit(editableOf(settings)));
  const now = (await config.show()).settings;
  assert.equal(now.voters, 3);
  assert.deepEqual(now.puppetdbUse, { id: "s1", at: "now" }, "an order isn't taken back with it");
  await assert.rejects(config.formerAt(1), (error) => isFault(error, "config.no-former"));
});

test("former states are bounded; what is so already makes none", async () => {
  const { config, edit } = member();
  await updateSettings(etcd, (settings) => settings);
  assert.equal((await config.former()).former.length, 0);
  for (let count = 0; count < 60; count += 1) {
    await updateSettings(etcd, (settings) => ({
      ...settings,
      puppetdbClients: [`c${count}.test`],
    }));
  }
  const { former } = await config.former();
  assert.equal(former.length, 50);
  assert.deepEqual(former.at(-1)?.changes, [
    { key: "puppetdbClients", from: "c58.test", to: "c59.test" },
  ]);
  await config.change(await edit({ voters: 1 }));
});

test("what a newer version has added to the settings stays", async () => {
  const newer = { sharedName: "puppet.lab.test", toCome: { deep: [1] } };
  await etcd.transact({ when: [], then: [{ put: SETTINGS_KEY, value: JSON.stringify(newer) }] });
  const { config, edit } = member();
  await config.change(await edit({ voters: 5 }));
  const kept = JSON.parse((await etcd.get(SETTINGS_KEY))?.value ?? "{}") as Record<string, unknown>;
  assert.deepEqual([kept["toCome"], kept["voters"]], [{ deep: [1] }, 5]);
});

test("without etcd, config.show gives what was last read, and change refuses", async () => {
  const gone = await startEtcdCluster();
  const away = gone.client({ attemptMs: 200 });
  await gone.close();
  const settings = Settings.parse({ sharedName: "puppet.lab.test" });
  const config = configCommands({
    etcd: away,
    node: { role: "witness" },
    keeper: { current: () => ({ settings }) as View },
    wake: () => undefined,
  });
  const shown = await config.show();
  assert.deepEqual([shown.revision, shown.settings], [0, settings]);
  assert.notEqual(shown.because, "");
  await assert.rejects(config.change({ revision: 0, settings: {} }), (error) =>
    isFault(error, "etcd"),
  );
});
