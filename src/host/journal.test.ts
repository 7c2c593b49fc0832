import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createLog } from "../base/log.ts";
import { messageIdOf } from "../base/message-id.ts";
import { until } from "../base/retry.ts";
import { createJournal, renderJournalEntry } from "./journal.ts";

const SOON = { withinMs: 20_000, everyMs: 20 };
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-journal-"));
});
after(async () => rm(folder, { recursive: true, force: true }));

test("renderJournalEntry gives each field a line, and none can begin another", () => {
  const fields = { event: "address-gained", subject: "x\nPRIORITY=0\nMESSAGE=no", "a-b": true };
  const line = '{"message":"s1 holds it"}';
  const text = renderJournalEntry({ event: "address-gained", priority: 5, line, fields }, 42);
  assert.deepEqual(text.split("\n"), [
    `MESSAGE=${line}`,
    `MESSAGE_ID=${messageIdOf("address-gained")}`,
    "PRIORITY=5",
    "SYSLOG_IDENTIFIER=understudy",
    "OBJECT_PID=42",
    "UNDERSTUDY_EVENT=address-gained",
    "UNDERSTUDY_SUBJECT=x PRIORITY=0 MESSAGE=no",
    "UNDERSTUDY_A_B=true",
    "",
  ]);
});

test("a log sends lines that tell of an event to the journal, in order, and the rest as ever", async () => {
  const file = join(folder, "sent");
  const written: string[] = [];
  const write = (line: string) => written.push(line);
  const argv = ["sh", "-c", `cat >> '${file}'`];
  const log = createLog(write, { loop: "x" }, createJournal(write, { argv }));
  log.notice("one", { event: "edge-up" });
  log.with({ more: "y" }).warn("two", { event: "edge-down" });
  log.info("three");
  const sent = await until(
    "both lines",
    async () => {
      const text = await readFile(file, "utf8").catch(() => "");
      return text.includes("UNDERSTUDY_EVENT=edge-down\n") && text;
    },
    SOON,
  );
  assert.deepEqual(written, ['<6>{"level":"info","message":"three","loop":"x"}']);
  const messages = [...sent.matchAll(/^MESSAGE=(.*)$/gm)].map(([, text]) => text);
  assert.deepEqual(messages, [
    '{"level":"notice","message":"one","loop":"x","event":"edge-up"}',
    '{"level":"warn","message":"two","loop":"x","more":"y","event":"edge-down"}',
  ]);
});

test("a journal that takes nothing costs no line", async () => {
  for (const argv of [["false"], ["/no/such/program"]]) {
    const written: string[] = [];
    const tell = createJournal((line) => written.push(line), { argv });
    const log = createLog((line) => written.push(line), {}, tell);
    for (let number = 0; number < 150; number += 1) log.notice(`${number}`, { event: "edge-up" });
    await until("all lines", () => written.length === 150, SOON);
    assert.equal(new Set(written).size, 150);
  }
});
