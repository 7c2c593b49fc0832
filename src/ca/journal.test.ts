import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Fault, isFault } from "../base/fault.ts";
import { openJournal, type Journal, type JournalOptions } from "./journal.ts";

async function inFolder(act: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "understudy-journal-"));
  try {
    await act(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function withJournal<T>(
  folder: string,
  act: (journal: Journal) => Promise<T>,
  options: JournalOptions = {},
): Promise<T> {
  const journal = await openJournal(folder, options);
  try {
    return await act(journal);
  } finally {
    await journal.close();
  }
}

async function content(journal: Journal): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for await (const { key, value } of journal.replay()) all[key] = value;
  return all;
}

const put = (key: string, value: string | null, revision: number) => ({ key, value, revision });

void test("openJournal gives back after reopening what append confirmed", async () => {
  await inFolder(async (folder) => {
    await withJournal(folder, async (journal) => {
      assert.equal(journal.appliedRevision(), 0);
      await Promise.all([
        journal.append([put("a", "1", 5), put("b", "two\nlines ☂", 5)], 5),
        journal.append([put("a", null, 7)], 8),
        journal.append([], 9),
      ]);
      assert.equal(journal.appliedRevision(), 9);
    });
    await withJournal(folder, async (journal) => {
      assert.equal(journal.warning, undefined);
      assert.equal(journal.appliedRevision(), 9);
      assert.deepEqual(await content(journal), { b: "two\nlines ☂" });
    });
  });
});

void test("openJournal cuts a torn tail at every length back to the last complete batch", async () => {
  await inFolder(async (folder) => {
    const log = join(folder, "log");
    await withJournal(folder, async (journal) => journal.append([put("a", "1", 1)], 1));
    const firstBytes = (await stat(log)).size;
    await withJournal(folder, async (journal) => {
      await journal.append([put("b", "2", 2), put("c", "3", 2)], 2);
    });
    const whole = await readFile(log);
    for (let bytes = firstBytes; bytes < whole.length; bytes += 1) {
      await writeFile(log, whole.subarray(0, bytes));
      await withJournal(folder, async (journal) => {
        assert.equal(journal.appliedRevision(), 1, `${bytes} bytes`);
        assert.deepEqual(await content(journal), { a: "1" });
        await journal.append([put("d", "4", 3)], 3);
      });
      await withJournal(folder, async (journal) => {
        assert.deepEqual(await content(journal), { a: "1", d: "4" });
      });
    }
  });
});

void test("openJournal says so when the log is damaged in its middle, and keeps the damaged one", async () => {
  await inFolder(async (folder) => {
    const log = join(folder, "log");
    await withJournal(folder, async (journal) => {
      await journal.append([put("a", "1", 1)], 1);
      await journal.append([put("b", "2", 2)], 2);
      await journal.append([put("c", "3", 3)], 3);
    });
    const bytes = await readFile(log);
    const at = bytes.indexOf('"b"');
    bytes[at + 1] = 0x58;
    await writeFile(log, bytes);
    await withJournal(folder, async (journal) => {
      assert.match(journal.warning ?? "", /ends at revision 1/);
      assert.equal(journal.appliedRevision(), 1);
      await journal.rewrite([put("a", "1", 1), put("b", "2", 2)], 4);
      assert.equal(journal.appliedRevision(), 4);
    });
    assert.ok((await stat(`${log}.damaged`)).size > 0);
    await withJournal(folder, async (journal) => {
      assert.deepEqual(await content(journal), { a: "1", b: "2" });
    });
  });
});

void test("openJournal counts a damaged snapshot for nothing", async () => {
  await inFolder(async (folder) => {
    await withJournal(folder, async (journal) => journal.rewrite([put("a", "1", 1)], 4));
    await truncate(join(folder, "snapshot"), 40);
    await withJournal(folder, async (journal) => {
      assert.match(journal.warning ?? "", /damaged/);
      assert.equal(journal.appliedRevision(), 0);
      await journal.rewrite([put("a", "1", 1)], 4);
      assert.deepEqual(await content(journal), { a: "1" });
    });
  });
});

void test("Journal folds its log and stays bounded while a key is written again and again", async () => {
  await inFolder(async (folder) => {
    const options = { foldAboveBytes: 4096 };
    await withJournal(
      folder,
      async (journal) => {
        for (let revision = 1; revision <= 300; revision += 1) {
          const gone = put(`k${revision - 3}`, null, revision);
          await journal.append([put(`k${revision}`, "x".repeat(100), revision), gone], revision);
        }
      },
      options,
    );
    const bytes =
      (await stat(join(folder, "log"))).size + (await stat(join(folder, "snapshot"))).size;
    assert.ok(bytes < 3 * 4096, `${bytes} bytes`);
    await withJournal(folder, async (journal) => {
      assert.equal(journal.appliedRevision(), 300);
      assert.deepEqual(Object.keys(await content(journal)).sort(), ["k298", "k299", "k300"]);
    });
  });
});

void test("openJournal ignores a log that an interrupted fold left behind its new snapshot", async () => {
  await inFolder(async (folder) => {
    const log = join(folder, "log");
    await withJournal(folder, async (journal) => journal.append([put("old", "1", 9)], 9));
    const before = await readFile(log);
    // A recovery by hand starts a record whose revisions are lower than the old one's.
    await withJournal(folder, async (journal) => journal.rewrite([put("new", "1", 2)], 3));
    await writeFile(log, before);
    await withJournal(folder, async (journal) => {
      assert.equal(journal.appliedRevision(), 3);
      assert.deepEqual(await content(journal), { new: "1" });
      await journal.append([put("newer", "2", 4)], 4);
    });
    await withJournal(folder, async (journal) => {
      assert.deepEqual(await content(journal), { new: "1", newer: "2" });
    });
  });
});

void test("append refuses what doesn't fit, confirms nothing of it, and goes on with what fits", async () => {
  await inFolder(async (folder) => {
    await withJournal(
      folder,
      async (journal) => {
        await journal.append([put("a", "1", 1)], 1);
        await assert.rejects(journal.append([put("b", "x".repeat(5000), 2)], 2), (error) =>
          isFault(error, "ca.journal-full"),
        );
        assert.equal(journal.appliedRevision(), 1);
        await journal.append([put("b", "small", 2)], 2);
        assert.deepEqual(await content(journal), { a: "1", b: "small" });
      },
      { bytesMax: 4096 },
    );
    await appendFile(join(folder, "log"), "garbage without end");
    await withJournal(folder, async (journal) => assert.equal(journal.appliedRevision(), 2));
  });
});

void test("rewrite whose source fails says why, and leaves everything as it was", async () => {
  await inFolder(async (folder) => {
    await withJournal(folder, async (journal) => {
      await journal.append([put("a", "1", 1)], 1);
      const failing = async function* () {
        yield put("b", "2", 2);
        throw new Fault("etcd.compacted", "that history is gone");
      };
      await assert.rejects(journal.rewrite(failing(), 2), (error) =>
        isFault(error, "etcd.compacted"),
      );
      assert.equal(journal.appliedRevision(), 1);
      await journal.append([put("c", "3", 3)], 3);
    });
    await withJournal(folder, async (journal) => {
      assert.deepEqual(await content(journal), { a: "1", c: "3" });
    });
  });
});

void test("Journal.newest is the change that the copy ends with, also after reopening", async () => {
  await inFolder(async (folder) => {
    const expectNewest = async (expected: ReturnType<typeof put> | undefined) => {
      await withJournal(folder, async (journal) => assert.deepEqual(journal.newest(), expected));
    };
    await expectNewest(undefined);
    await withJournal(folder, async (journal) => {
      await journal.append([put("a", "1", 5), put("b", "2", 4)], 5);
      assert.deepEqual(journal.newest(), put("a", "1", 5));
      // As a signature does: the certificate is put, the request deleted.
      await journal.append([put("a", null, 6), put("c", '","r":99}', 6), put("d", null, 6)], 6);
      assert.deepEqual(journal.newest(), put("c", '","r":99}', 6));
    });
    await expectNewest(put("c", '","r":99}', 6));
    await withJournal(folder, async (journal) => journal.append([put("c", null, 7)], 7));
    await expectNewest(put("c", null, 7));
    // What came last isn't told.
    await withJournal(folder, async (journal) => journal.append([], 8));
    await expectNewest(undefined);
    await withJournal(folder, async (journal) => {
      await journal.rewrite([put("x", "1", 9), put("y", "2", 3)], 9);
      assert.deepEqual(journal.newest(), put("x", "1", 9));
    });
    await expectNewest(put("x", "1", 9));
  });
});

void test("Journal.load hands over what is there, and waits for appends before it", async () => {
  await inFolder(async (folder) => {
    await withJournal(folder, async (journal) => {
      await journal.rewrite([put("a", "1", 1), put("b", "1", 2), put("c", "1", 2)], 2);
      await journal.append([put("b", "2", 3), put("c", null, 3)], 3);
      void journal.append([put("b", "3", 4)], 4);
      const seen: unknown[] = [];
      const end = await journal.load((event) => seen.push(event));
      assert.deepEqual(seen, [put("a", "1", 1), put("b", "3", 4)]);
      assert.deepEqual(end, { revision: 4, newest: put("b", "3", 4) });
    });
  });
});

void test("Journal.replay fails rather than leave out what became unreadable", async () => {
  await inFolder(async (folder) => {
    await withJournal(folder, async (journal) => {
      await journal.rewrite([put("a", "1", 1), put("b", "2", 2)], 2);
      const path = join(folder, "snapshot");
      const bytes = await readFile(path);
      bytes[bytes.indexOf('"b"') + 1] = 0x58;
      await writeFile(path, bytes);
      await assert.rejects(content(journal), (error) => isFault(error, "ca.journal-failed"));
      await truncate(path, bytes.indexOf('"a"'));
      await assert.rejects(content(journal), (error) => isFault(error, "ca.journal-failed"));
    });
  });
});
