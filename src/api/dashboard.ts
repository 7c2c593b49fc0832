// The dashboard's files as browsers get them: built once, read once, the same for everybody.
// Nothing of the cluster is in them, so a stranger may have them. Danger: the page acts for who is
// signed in, so nothing but its own files may run in it.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import type { Context, Hono } from "hono";
import type { PeopleEnv } from "./people-app.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};
const FILES_MAX = 100;
const FILE_BYTES_MAX = 2 * 1024 * 1024;
/** Below this there is nothing to win. */
const ZIP_BYTES_MIN = 512;
/** Names below it carry a hash of what they hold. */
const HASHED = "/assets/";

export const PAGE_HEADERS = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "require-trusted-types-for 'script'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

export interface DashboardFile {
  type: string;
  bytes: Buffer;
  /** Absent where it wouldn't be smaller. */
  zipped: Buffer | undefined;
  etag: string;
}

/** Files by the path at which a browser asks for them. */
export type Dashboard = ReadonlyMap<string, DashboardFile>;

/** Where the built files are: beside the program in the package, in dist/ in the repository. */
export function dashboardFolder(): string | undefined {
  const top = join(import.meta.dirname, "..", "..");
  const folders = [join(top, "dashboard"), join(top, "dist", "dashboard")];
  return folders.find((folder) => existsSync(join(folder, "index.html")));
}

/** Reads them; undefined where there are none. */
export function readDashboard(folder = dashboardFolder()): Dashboard | undefined {
  if (folder === undefined) return undefined;
  const files = new Map<string, DashboardFile>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const type = TYPES[extname(entry.name)];
    if (!entry.isFile() || type === undefined || files.size >= FILES_MAX) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    if (bytes.length > FILE_BYTES_MAX) continue;
    const name = relative(folder, path);
    files.set(name === "index.html" ? "/" : `/${name}`, fileOf(type, bytes));
  }
  return files.has("/") ? files : undefined;
}

function fileOf(type: string, bytes: Buffer): DashboardFile {
  const zipped = bytes.length < ZIP_BYTES_MIN ? bytes : gzipSync(bytes, { level: 9 });
  const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
  return { type, bytes, zipped: zipped.length < bytes.length ? zipped : undefined, etag };
}

/** Adds its files, for whoever asks; `admit` throws where somebody asks too often. */
export function serveDashboard(
  app: Hono<PeopleEnv>,
  dashboard: Dashboard | undefined,
  admit: (c: Context<PeopleEnv>) => void,
): void {
  for (const [path, file] of dashboard ?? []) {
    app.get(path, (c) => {
      admit(c);
      c.set("page", true);
      return answer(c, path, file);
    });
  }
}

function answer(c: Context<PeopleEnv>, path: string, file: DashboardFile): Response {
  const { type, bytes, zipped, etag } = file;
  const hashed = path.startsWith(HASHED);
  c.header("cache-control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
  c.header("etag", etag);
  c.header("vary", "accept-encoding");
  if (c.req.header("if-none-match") === etag) return c.body(null, 304);
  c.header("content-type", type);
  const takesZip = /\bgzip\b/.test(c.req.header("accept-encoding") ?? "");
  if (zipped === undefined || !takesZip) return c.body(new Uint8Array(bytes));
  c.header("content-encoding", "gzip");
  return c.body(new Uint8Array(zipped));
}
