// Starts one of the project's TypeScript programs on a machine that may lack everything but npm:
// installs npm packages and, for what needs the lab, Debian packages; then hands over to Node 24.
// Runs under whatever Node the machine has, so it is plain JavaScript without imports of ours.

import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const TOP = fileURLToPath(new URL("..", import.meta.url));
const NODE = join(TOP, "node_modules", ".bin", "node");

/** What lab servers are built and run with: program, and the Debian package that has it. */
const LAB = {
  "systemd-nspawn": "systemd-container",
  mmdebstrap: "mmdebstrap",
  ip: "iproute2",
  tc: "iproute2",
  nft: "nftables",
  ethtool: "ethtool",
  openssl: "openssl",
  perl: "perl-base",
  sysctl: "procps",
  "mkfs.ext4": "e2fsprogs",
  losetup: "mount",
  mount: "mount",
  flock: "util-linux",
  nsenter: "util-linux",
  unshare: "util-linux",
};

/** How long another apt is waited for, as after a boot. */
const APT_SECONDS_MAX = 120;

/** Programs that a started file needs on this machine; files not named need none. */
const NEEDS = {
  "lab/demo.ts": LAB,
  "lab/command.ts": LAB,
  "scripts/test.ts": LAB,
  "bench/run.ts": LAB,
};

main();

function main() {
  const [file, ...args] = process.argv.slice(2);
  if (file === undefined) fail("usage: node scripts/bootstrap.mjs FILE.ts [ARGUMENT…]");
  // Debian gives these to root only, and not to one that came by su.
  const path = (process.env.PATH ?? "/usr/bin:/bin").split(delimiter);
  const lacking = ["/usr/sbin", "/sbin"].filter((folder) => !path.includes(folder));
  process.env.PATH = [...path, ...lacking].join(delimiter);
  ensureNpmPackages();
  const onlyAsksForHelp = args.includes("--help") || args.includes("-h");
  if (!onlyAsksForHelp) ensurePrograms(file, NEEDS[file] ?? {});
  handOver([join(TOP, file), ...args]);
}

function ensureNpmPackages() {
  const because = whyNpmIsNeeded();
  if (because === undefined) return;
  say(`installing npm packages (${because})`);
  // Our own node_modules/.bin must not provide the node that npm replaces while it runs.
  const path = process.env.PATH.split(delimiter).filter((one) => !one.startsWith(TOP));
  const env = { ...process.env, PATH: path.join(delimiter) };
  // Not `npm ci`: it refuses a lock file that lacks packages for other platforms, and a registry that
  // doesn't carry those makes npm leave them out. This installs what the lock says all the same.
  const npm = spawnSync("npm", ["install", "--no-save", "--no-fund", "--no-audit"], {
    cwd: TOP,
    env,
    stdio: ["ignore", 2, 2],
  });
  if (npm.status !== 0) fail("npm install failed: the lines above say why. Is the network there?");
  const still = whyNpmIsNeeded();
  if (still !== undefined)
    fail(`npm install ended well, yet ${still}. Are npm's install scripts off?`);
}

/** Compares package-lock.json with the lock that npm keeps of what it installed. */
function whyNpmIsNeeded() {
  const installed = readPackages(join(TOP, "node_modules", ".package-lock.json"));
  if (installed === undefined) return "none are installed";
  const wanted = readPackages(join(TOP, "package-lock.json")) ?? {};
  for (const [name, entry] of Object.entries(wanted)) {
    const there = installed[name];
    if (name === "" || (there === undefined && entry.optional)) continue;
    if (there?.version !== entry.version) return `${name} is not at version ${entry.version}`;
  }
  return existsSync(NODE) ? undefined : "Node itself is missing";
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages;
  } catch {
    return undefined;
  }
}

function ensurePrograms(file, programs) {
  const missing = Object.keys(programs).filter((name) => !isOnPath(name));
  const packages = [...new Set(missing.map((name) => programs[name]))];
  const root = process.getuid() === 0;
  if (Object.keys(programs).length > 0 && !root) {
    const also = packages.length === 0 ? "" : `, and the packages ${packages.join(", ")}`;
    fail(
      `${file} starts lab servers: real systems with systemd in network namespaces.`,
      `That needs root${also}. What needs no root: npm run ok`,
    );
  }
  if (packages.length === 0) return;
  if (!isOnPath("apt-get")) {
    fail(
      `${file} needs ${missing.join(", ")}. This is no Debian system, so they can't be installed.`,
      `Install what Debian calls ${packages.join(", ")}.`,
    );
  }
  say(`installing Debian packages: ${packages.join(", ")}`);
  say(`(while another apt is at work, this waits for up to ${APT_SECONDS_MAX} s)`);
  if (!install(packages)) {
    say("that failed, so once more with fresh package lists (apt-get update)");
    apt(["update"]);
    if (!install(packages)) fail(`apt-get could not install ${packages.join(", ")}: see above.`);
  }
}

function isOnPath(name) {
  return process.env.PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function install(packages) {
  return apt(["install", "-y", "--no-install-recommends", ...packages]);
}

function apt(args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
  const argv = ["-q", "-o", `DPkg::Lock::Timeout=${APT_SECONDS_MAX}`, ...args];
  const end = performance.now() + APT_SECONDS_MAX * 1000;
  for (;;) {
    const options = { env, stdio: ["ignore", 2, "pipe"], encoding: "utf8" };
    const { status, stderr } = spawnSync("apt-get", argv, options);
    process.stderr.write(stderr ?? "");
    if (status === 0) return true;
    // apt's own patience is for dpkg's lock only, not for those of package lists and downloads.
    if (!/Could not get lock/.test(stderr) || performance.now() > end) return false;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  }
}

function handOver(args) {
  const child = spawn(NODE, args, { stdio: "inherit" });
  // A terminal sends ^C to the child as well; passing it on would make it two.
  const passed = process.stdin.isTTY ? ["SIGTERM", "SIGHUP"] : ["SIGTERM", "SIGHUP", "SIGINT"];
  for (const signal of passed) process.on(signal, () => child.kill(signal));
  if (process.stdin.isTTY) process.on("SIGINT", () => undefined);
  child.on("error", (error) => fail(`${NODE} can't be started: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function say(line) {
  process.stderr.write(`understudy: ${line}\n`);
}

function fail(...lines) {
  for (const line of lines) say(line);
  process.exit(1);
}
