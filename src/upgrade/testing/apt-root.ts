// A Debian system of nothing but packages, and an archive that has them: for tests with real apt
// and dpkg that must not touch the machine's own. Needs root, as dpkg gives files away.

import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../../host/process.ts";

export interface TinyPackage {
  name: string;
  version: string;
  depends?: string;
  /** A shell script that sets it up. */
  postinst?: string;
  /** What its configuration file says. */
  config?: string;
}

export interface AptRoot {
  /** For apt and dpkg. */
  env: NodeJS.ProcessEnv;
  path(...parts: string[]): string;
  /** Installs, as it would be before anything is upgraded. */
  install(one: TinyPackage): Promise<void>;
  /** Makes this all that the archive has, and has apt read that. */
  offer(...all: TinyPackage[]): Promise<void>;
  refresh(): Promise<void>;
  remove(): Promise<void>;
}

export async function createAptRoot(): Promise<AptRoot> {
  const top = await mkdtemp(join(tmpdir(), "understudy-apt-"));
  const path = (...parts: string[]) => join(top, ...parts);
  const admin = path("root/var/lib/dpkg");
  for (const folder of [
    "root/var/lib/dpkg/info",
    "root/var/lib/dpkg/updates",
    "root/var/lib/dpkg/triggers",
    "root/var/lib/apt/lists/partial",
    "root/var/cache/apt/archives/partial",
    "root/var/log/apt",
    "root/etc/apt/apt.conf.d",
    "root/etc/apt/preferences.d",
    "root/etc/apt/trusted.gpg.d",
    "archive",
  ]) {
    await mkdir(path(folder), { recursive: true });
  }
  await writeFile(join(admin, "status"), "");
  await writeFile(
    path("root/etc/apt/sources.list"),
    `deb [trusted=yes] file:${path("archive")} ./\n`,
  );
  const settings = [
    `Dir "${path("root")}";`,
    `Dir::State::status "${join(admin, "status")}";`,
    'APT::Sandbox::User "root";',
  ];
  await writeFile(path("apt.conf"), `${settings.join("\n")}\n`);
  // There is no shell in it for packages' scripts.
  await writeFile(path(".dpkg.cfg"), "force-script-chrootless\n");
  const places = { HOME: top, DPKG_ROOT: path("root"), DPKG_ADMINDIR: admin };
  const own = { APT_CONFIG: path("apt.conf"), ...places };
  const env = { ...process.env, ...own };
  const refresh = async () => {
    await run(["apt-get", "-q", "--error-on=any", "update"], { env });
  };
  return {
    env: own,
    path,
    refresh,
    async install(one) {
      const deb = await build(path("built"), one);
      await run(["dpkg", "-i", deb], { env });
    },
    async offer(...all) {
      await rm(path("archive"), { recursive: true, force: true });
      await mkdir(path("archive"));
      const index: string[] = [];
      for (const one of all) {
        const deb = await build(path("archive"), one);
        const bytes = await readFile(deb);
        const file = `${one.name}_${one.version}.deb`;
        const sum = createHash("sha256").update(bytes).digest("hex");
        const place = `Filename: ./${file}\nSize: ${bytes.length}\nSHA256: ${sum}\n`;
        index.push(`${renderControl(one)}${place}`);
      }
      await writeFile(path("archive/Packages"), index.join("\n"));
      await refresh();
    },
    remove: async () => rm(top, { recursive: true, force: true }),
  };
}

/** Builds a package into `folder` and returns its path. */
async function build(folder: string, one: TinyPackage): Promise<string> {
  const stage = join(folder, `${one.name}-${one.version}.stage`);
  const put = async (name: string, text: string) => {
    await mkdir(dirname(join(stage, name)), { recursive: true });
    await writeFile(join(stage, name), text);
  };
  await put("DEBIAN/control", renderControl(one));
  await put(`usr/share/${one.name}/version`, one.version);
  if (one.config !== undefined) {
    await put(`etc/${one.name}.conf`, one.config);
    await put("DEBIAN/conffiles", `/etc/${one.name}.conf\n`);
  }
  if (one.postinst !== undefined) {
    await put("DEBIAN/postinst", `#!/bin/sh\nset -e\n${one.postinst}\n`);
    await chmod(join(stage, "DEBIAN/postinst"), 0o755);
  }
  const deb = join(folder, `${one.name}_${one.version}.deb`);
  await run(["dpkg-deb", "--root-owner-group", "--build", stage, deb]);
  await rm(stage, { recursive: true });
  return deb;
}

function renderControl({ name, version, depends }: TinyPackage): string {
  return [
    `Package: ${name}`,
    `Version: ${version}`,
    "Architecture: all",
    "Maintainer: nobody <nobody@example.invalid>",
    ...(depends === undefined ? [] : [`Depends: ${depends}`]),
    "Description: a tiny package",
    "",
  ].join("\n");
}
