import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { run } from "../host/process.ts";
import { PASSPHRASE_LENGTH_MIN, readPassphrase } from "./passphrase.ts";
import { firstLine } from "./secret.ts";

const GOOD = "x".repeat(PASSPHRASE_LENGTH_MIN);

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-passphrase-"));
});
after(async () => rm(folder, { recursive: true, force: true }));

async function fromFile(text: string, fresh: boolean): Promise<string> {
  const path = join(folder, "file");
  await writeFile(path, text);
  return readPassphrase(path, fresh);
}

void test("firstLine is what stands before the first end of a line", () => {
  for (const [text, line] of [
    ["a b", "a b"],
    ["a b\n", "a b"],
    ["a b\r\n", "a b"],
    [" a \nmore\n", " a "],
    ["\nmore", ""],
    ["", ""],
  ] as const) {
    assert.equal(firstLine(text), line);
  }
});

void test("readPassphrase takes a file's first line, and refuses a new one that is short", async () => {
  assert.equal(await fromFile(`${GOOD}\nnothing else\n`, true), GOOD);
  assert.equal(await fromFile("short", false), "short");
  for (const [text, fresh] of [
    ["", true],
    ["", false],
    ["\n", false],
    [GOOD.slice(1), true],
    // As people count: eleven, though twice as many units.
    ["😀".repeat(PASSPHRASE_LENGTH_MIN - 1), true],
  ] as const) {
    await assert.rejects(fromFile(text, fresh), { code: "cli.option" }, text);
  }
  await assert.rejects(readPassphrase(join(folder, "none"), true), { code: "cli.option" });
});

void test('readPassphrase takes standard input for "-", and needs a terminal to ask', async () => {
  const module = join(import.meta.dirname, "passphrase.ts");
  const ask = async (file: string | undefined, input: string) => {
    const program =
      `import { readPassphrase } from ${JSON.stringify(module)};` +
      `const said = await readPassphrase(${JSON.stringify(file)}, true).catch((e) => e.code);` +
      `process.stdout.write(said);`;
    const argv = [process.execPath, "--input-type=module", "-e", program];
    return run(argv, { input });
  };
  assert.equal(await ask("-", `${GOOD}\n`), GOOD);
  assert.equal(await ask("-", ""), "cli.option");
  assert.equal(await ask(undefined, `${GOOD}\n`), "cli.option");
});
