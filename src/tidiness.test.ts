// Holds the repository to its own rules: imports go down only, files stay small and say what they
// are, every error code is in the book and nothing else is.

import assert from "node:assert/strict";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "..");
const LINES_MAX = 400;
const COLUMNS_MAX = 100;

/**
 * Floor by floor: a folder may import from those below it. Folders of one floor don't import each
 * other.
 */
const FLOORS: readonly (readonly string[])[] = [
  ["base"],
  ["host"],
  ["x509"],
  ["etcd"],
  ["cluster"],
  ["alerts", "ca", "courier", "drill", "edge", "hooks", "vip", "puppetserver", "upgrade"],
  ["setup"],
  ["api", "cli"],
  ["daemon"],
  ["main"],
];

/** Single files below src that every floor may use. */
const SHARED = new Set(["version"]);

const FILES = sourceFiles();
const PAGES = globSync(["*.md", "docs/*.md"], { cwd: ROOT }).map((path) => ({
  path,
  text: readFileSync(join(ROOT, path), "utf8"),
}));

test("imports go down only", () => {
  const wrong: string[] = [];
  for (const { path, text } of FILES) {
    if (!path.startsWith("src/") || path.endsWith("tidiness.test.ts")) continue;
    for (const [, target = ""] of text.matchAll(/from "(\.[^"]+)"/g)) {
      const to = normalize(join(dirname(path), target));
      if (to.startsWith("src/") && !mayImport(path, to)) wrong.push(`${path} imports ${to}`);
      if (!to.startsWith("src/") && !isTest(path)) wrong.push(`${path} imports ${to}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("files are short, open with what they are, and keep to the columns", () => {
  const wrong: string[] = [];
  for (const { path, text } of FILES) {
    const lines = text.split("\n");
    if (lines.length > LINES_MAX) wrong.push(`${path} has ${lines.length} lines`);
    if (!isTest(path) && !/^(#!.*\n)?\/\/ \S/.test(text))
      wrong.push(`${path} doesn't say what it is`);
    // Generated configuration has lines of its own length; prose and code must not.
    const long = lines.findIndex((line) => line.length > COLUMNS_MAX && /^\s*(\/\/|\*)/.test(line));
    if (long >= 0)
      wrong.push(`${path}:${long + 1} is a comment longer than ${COLUMNS_MAX} columns`);
  }
  assert.deepEqual(wrong, []);
});

test("docs/errors.md lists exactly the codes that the code has", () => {
  const book = readFileSync(join(ROOT, "docs/errors.md"), "utf8");
  const listed = new Set(
    [...book.matchAll(/^\| `([a-z0-9.-]+)` \|/gm)].map(([, code]) => code ?? ""),
  );
  const prefixes = [...listed].filter((code) => code.includes(".")).map(prefixOf);
  // The book is for administrators: the lab and the build have codes of their own.
  const used = new Set(
    FILES.filter(({ path }) => !isTest(path) && path.startsWith("src/")).flatMap(({ text }) =>
      codesIn(text, new Set(prefixes)),
    ),
  );
  assert.deepEqual([...used].filter((code) => !listed.has(code)).toSorted(), [], "not in the book");
  assert.deepEqual(
    [...listed].filter((code) => !used.has(code)).toSorted(),
    [],
    "in the book only",
  );
});

test("codesIn finds codes that a variable or a condition chooses, and takes no file for one", () => {
  const text = `
    new Fault(full ? "ca.journal-full" : "ca.journal-failed", why);
    new Fault("x509.key", why); new Fault(\n"odd.one", why);
    const file = join(folder, "ca.crt"); const unit = "etcd.service"; const url = "http.example";`;
  const found = codesIn(text, new Set(["ca", "etcd", "x509"]));
  assert.deepEqual(found.toSorted(), [
    "ca.journal-failed",
    "ca.journal-full",
    "odd.one",
    "x509.key",
  ]);
});

test("what messages and documents name of this repository is there", () => {
  const wrong: string[] = [];
  const note = (path: string, named: string) => {
    if (!isThere(named)) wrong.push(`${path} names ${named}`);
  };
  for (const { path, text } of FILES) {
    if (isTest(path) || !path.startsWith("src/")) continue;
    const said = text.replaceAll(/^ *(?:\/\/|\*|\/\*\*).*$/gm, "");
    // On a server they are where the package puts them.
    for (const [named] of said.matchAll(/\bdocs\/[a-z-]+\.md/g))
      wrong.push(`${path} names ${named}`);
    for (const [, name = ""] of said.matchAll(/\/usr\/share\/doc\/understudy\/([\w.-]*\w)/g)) {
      if (!isThere(`docs/${name}`)) note(path, `packaging/files/${name}`);
    }
  }
  for (const { path, text } of PAGES) {
    for (const [, named = ""] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      note(path, join(dirname(path), named));
    }
    const inRoot = /`((?:src|lab|web|bench|docs|packaging|scripts)\/[\w./*-]+)`/g;
    for (const [, named = ""] of text.matchAll(inRoot)) note(path, named);
    for (const [, name = ""] of text.matchAll(/[(`]([a-z-]+\.md)\b/g)) {
      if (!isThere(join(dirname(path), name))) note(path, `docs/${name}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("README.md and README.Debian name every page of the handbook", () => {
  for (const path of ["README.md", "packaging/files/README.Debian"]) {
    const text = readFileSync(join(ROOT, path), "utf8");
    const pages = PAGES.map((page) => page.path).filter((page) => page.startsWith("docs/"));
    const missing = pages.filter((page) => !text.includes(page.slice("docs/".length)));
    assert.deepEqual(missing, [], path);
  }
});

/** What looks like a code and is the name of something else. */
const NAMES = new Set([
  "control.understudy",
  "puppetserver.edited",
  "puppetserver.reloaded",
  "puppetserver.terminus",
]);
const FILE_ENDINGS = /\.(cnf|conf|crl|crt|csr|env|ini|json|key|pem|service|socket|sock)$/;

/**
 * The error codes in a file: what a Fault is made with, and every string that begins with one of
 * `prefixes` as codes do, since a code may be chosen before it gets into a Fault.
 */
function codesIn(text: string, prefixes: ReadonlySet<string>): string[] {
  const certain = [
    ...text.matchAll(/new Fault\(\s*"([^"]+)"/g),
    ...text.matchAll(/(?:code: |refuse\(\s*)"([a-z0-9]+\.[a-z0-9-]+)"/g),
  ];
  const likely = [...text.matchAll(/["'`]([a-z0-9]+\.[a-z0-9-]+)["'`]/g)].filter(
    ([, name = ""]) => prefixes.has(prefixOf(name)) && !FILE_ENDINGS.test(name) && !NAMES.has(name),
  );
  return [...new Set([...certain, ...likely].map(([, code]) => code ?? ""))];
}

function prefixOf(code: string): string {
  return code.split(".")[0] ?? "";
}

function sourceFiles(): { path: string; text: string }[] {
  return ["src", "lab", "bench", "packaging", "scripts", "web"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
      .map((entry) => {
        const full = join(entry.parentPath, entry.name);
        return { path: relative(ROOT, full), text: readFileSync(full, "utf8") };
      }),
  );
}

/** Whether there is a file or folder of this name below the root; "*" is any part of a name. */
function isThere(path: string): boolean {
  return globSync(path, { cwd: ROOT }).length > 0;
}

function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.includes("/testing/");
}

function mayImport(from: string, to: string): boolean {
  const [source, target] = [roomOf(from), roomOf(to)];
  if (source === target || SHARED.has(target)) return true;
  return floorOf(target) < floorOf(source);
}

function roomOf(path: string): string {
  const [, room = ""] = path.split("/");
  return room.replace(/\.ts$/, "");
}

function floorOf(room: string): number {
  const floor = FLOORS.findIndex((rooms) => rooms.includes(room));
  assert.notEqual(floor, -1, `src/${room} has no floor in the import order`);
  return floor;
}
