import assert from "node:assert/strict";
import {
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { editFile, keepBeside, originalPath, putOriginalBack, readOriginal } from "./originals.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-originals-"));
});
after(async () => rm(folder, { recursive: true }));

test("editFile keeps the first original, owner and mode through any number of edits", async () => {
  const path = join(folder, "a.conf");
  await writeFile(path, "stock", { mode: 0o640 });
  await editFile(path, "first");
  await editFile(path, "second");
  assert.equal(await readFile(path, "utf8"), "second");
  assert.equal(await readOriginal(path), "stock");
  assert.equal((await stat(path)).mode & 0o777, 0o640);
  assert.equal((await stat(originalPath(path))).mode & 0o777, 0o640);
});

test("putOriginalBack restores the file and leaves nothing of ours", async () => {
  const path = join(folder, "b.conf");
  await writeFile(path, "stock");
  await editFile(path, "ours");
  await putOriginalBack(path, "ours");
  await putOriginalBack(path, "ours");
  assert.equal(await readFile(path, "utf8"), "stock");
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes("b.conf")),
    ["b.conf"],
  );
});

test("putOriginalBack keeps what an administrator made of our edit", async () => {
  const path = join(folder, "c.conf");
  await writeFile(path, "stock");
  await editFile(path, "ours");
  await writeFile(path, "ours and theirs");
  await putOriginalBack(path, "ours");
  assert.equal(await readFile(path, "utf8"), "stock");
  assert.equal(await readFile(`${path}.from-understudy`, "utf8"), "ours and theirs");
});

test("keepBeside keeps a file or a link as it is, once", async () => {
  const [path, link] = [join(folder, "crl.pem"), join(folder, "link.pem")];
  await writeFile(path, "first", { mode: 0o640 });
  await symlink("crl.pem", link);
  for (const each of [path, link]) await keepBeside(each);
  await writeFile(path, "second");
  for (const each of [path, link]) await keepBeside(each);
  assert.equal(await readFile(originalPath(path), "utf8"), "first");
  assert.equal((await stat(originalPath(path))).mode & 0o777, 0o640);
  assert.equal(await readlink(originalPath(link)), "crl.pem");
});

test("editFile refuses a link and changes nothing", async () => {
  const target = join(folder, "target.conf");
  const path = join(folder, "d.conf");
  await writeFile(target, "shared");
  await symlink(target, path);
  await assert.rejects(editFile(path, "ours"), (error) =>
    isFault(error, "puppetserver.config-unknown"),
  );
  assert.equal(await readFile(target, "utf8"), "shared");
  assert.equal(await readOriginal(path), undefined);
});
