import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isFault } from "../src/base/fault.ts";
import {
  copyPackages,
  productionPackages,
  readLicence,
  readProductionPackages,
} from "./closure.ts";

test("productionPackages leaves out the program itself, development and absent optional packages", () => {
  const lock = {
    lockfileVersion: 3,
    packages: {
      "": { version: "0.1.0" },
      "node_modules/b": { version: "2.0.0", license: "MIT" },
      "node_modules/@s/a": { version: "1.0.0", license: "ISC" },
      "node_modules/b/node_modules/c": { version: "3.0.0" },
      "node_modules/tool": { version: "1.0.0", dev: true },
      "node_modules/shared-tool": { version: "1.0.0", devOptional: true },
      "node_modules/other-system": { version: "1.0.0", optional: true },
    },
  };
  assert.deepEqual(
    productionPackages(lock).map(({ path, name, version }) => [path, name, version]),
    [
      ["node_modules/@s/a", "@s/a", "1.0.0"],
      ["node_modules/b", "b", "2.0.0"],
      ["node_modules/b/node_modules/c", "c", "3.0.0"],
    ],
  );
});

test("productionPackages refuses what is no lock file", () => {
  assert.throws(() => productionPackages({ dependencies: {} }));
});

test("copyPackages copies programs and licences, not type declarations, and names a wrong version", async () => {
  const target = await mkdtemp(join(tmpdir(), "understudy-closure-"));
  try {
    const packages = await readProductionPackages();
    const hono = packages.find(({ name }) => name === "hono");
    assert.ok(hono);
    assert.match((await readLicence(hono)) ?? "", /Copyright/);
    await copyPackages([hono], target);
    const files = await readdir(join(target, "node_modules", "hono"), { recursive: true });
    assert.ok(files.includes("package.json") && files.includes("LICENSE"));
    assert.deepEqual(
      files.filter((name) => name.endsWith(".d.ts")),
      [],
    );
    await assert.rejects(copyPackages([{ ...hono, version: "0.0.1" }], target), (error) =>
      isFault(error, "package.not-installed"),
    );
  } finally {
    await rm(target, { recursive: true });
  }
});
