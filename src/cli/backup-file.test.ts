import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { withBackup } from "./backup-file.ts";

test("withBackup says of what is no file that it can't be read: a folder, a pipe", async () => {
  for (const path of [tmpdir(), "/dev/null", "/nonexistent"]) {
    const reading = withBackup(path, "/dev/null", async () => undefined);
    await assert.rejects(reading, { code: "cli.option", message: new RegExp(`^${path} `) }, path);
  }
});
