// An archive of packages on each lab server, whose versions are newer than the installed ones: made
// of what is installed, scripts and all, so that upgrading is the real thing with the same content.

import type { LabHost } from "../host.ts";

const FOLDER = "/srv/archive";
const SOURCES = "/etc/apt/sources.list.d/lab-archive.list";
/** puppetserver and Node.js are large. */
const PACK_MS_MAX = 600_000;

/**
 * Gives `server` an archive with newer versions of `names` and no other; `suffix` is put behind the
 * installed ones.
 */
export async function offerNewer(
  server: LabHost,
  names: readonly string[],
  suffix: string,
): Promise<void> {
  const script = `${REPACK}\n${names.map((name) => `repack ${name} '${suffix}'`).join("\n")}\n${INDEX}`;
  await server.run(["bash", "-e", "-o", "pipefail"], { input: script, withinMs: PACK_MS_MAX });
}

/** Where the archive has the package `name`, whatever its version. */
export function fileOf(name: string): string {
  return `${FOLDER}/${name}.deb`;
}

/** Takes the archive away, and gives apt those back that it had. */
export async function endArchive(server: LabHost): Promise<void> {
  await server.run(
    `rm -rf ${FOLDER} ${SOURCES}; [ ! -e /srv/sources ] || { cp -a /srv/sources/. /etc/apt/; rm -r /srv/sources; }`,
  );
}

/** The installed versions of `names`, by name. */
export async function versionsOn(
  server: LabHost,
  names: readonly string[],
): Promise<Record<string, string>> {
  const query = ["dpkg-query", "--show", "--showformat=${Package} ${Version}\\n", ...names];
  const lines = (await server.run(query)).trim().split("\n");
  return Object.fromEntries(lines.map((line) => line.split(" ") as [string, string]));
}

/** As dpkg-repack does it. Its version is in our own package.json too. */
const REPACK = `
rm -rf ${FOLDER}; mkdir -p ${FOLDER}
repack() {
  stage=$(mktemp -d /srv/repack.XXXXXX); chmod 755 $stage; mkdir $stage/DEBIAN
  # Where /lib is a link, packages have files below it all the same.
  dpkg-query -L "$1" | grep ^/ | grep -vxE '/[.]|/(bin|sbin|lib|lib32|lib64)' | sed 's|^/||' |
    tar -C / --no-recursion --ignore-failed-read -cf - -T - | tar -C $stage -xpf -
  dpkg-query -s "$1" | awk -v suffix="$2" '
    /^Conffiles:/ { skip = 1; next }
    /^ / && skip { next }
    { skip = 0 }
    /^Status:/ { next }
    /^Version:/ { $0 = $0 suffix }
    { print }' > $stage/DEBIAN/control
  for script in preinst postinst prerm postrm conffiles triggers; do
    [ ! -e "/var/lib/dpkg/info/$1.$script" ] || cp "/var/lib/dpkg/info/$1.$script" $stage/DEBIAN/$script
  done
  own=$stage/usr/lib/understudy/package.json
  [ ! -e $own ] || sed -i "s/\\(\\"version\\": \\"[^\\"]*\\)/\\1$2/" $own
  dpkg-deb -Zgzip -z1 --build $stage "${FOLDER}/$1.deb" > /dev/null
  rm -rf $stage
}`;

const INDEX = `
cd ${FOLDER}
for file in *.deb; do
  dpkg-deb -f "$file"
  echo "Filename: ./$file"
  echo "Size: $(stat -c %s "$file")"
  echo "SHA256: $(sha256sum "$file" | cut -d' ' -f1)"
  echo
done > Packages
if [ ! -e /srv/sources ]; then
  mkdir -p /srv/sources/sources.list.d
  [ ! -e /etc/apt/sources.list ] || mv /etc/apt/sources.list /srv/sources/
  find /etc/apt/sources.list.d -type f -exec mv {} /srv/sources/sources.list.d/ \\;
fi
echo 'deb [trusted=yes] file:${FOLDER} ./' > ${SOURCES}
sync -f /`;
