// What a refused command may not have changed on a host: files, ports, units and addresses, as text
// to be compared before and after.

import type { LabHost } from "../host.ts";

/** Every file below these is compared by content, owner and mode. */
const FOLDERS = "/etc/puppet /etc/understudy /etc/systemd /var/lib/puppet/ssl /var/lib/understudy";
/** What running programs write all the time. */
const LIVELY = ["/var/lib/understudy/etcd/data/*", "/var/lib/understudy/view.json"];

/**
 * The host's files, listeners, units and addresses in one text; empty folders don't count. Cheap
 * enough for each refusal. `except` are paths, with wildcards, that may change.
 */
export async function worldOf(host: LabHost, except: readonly string[] = []): Promise<string> {
  const but = [...LIVELY, ...except].map((path) => `! -path '${path}'`).join(" ");
  return host.run(`
    set -o pipefail
    find ${FOLDERS} ! -type d ${but} -printf '%p %y %m %u %g %l\\n' 2>/dev/null | sort
    find ${FOLDERS} -type f ${but} -print0 2>/dev/null | sort -z | xargs -0r sha256sum
    ss -Hltn | awk '{print $4}' | sort
    systemctl list-units --all --plain --no-legend --type=service,socket 'understudy*' 'puppetserver*' |
      awk '{print $1, $2, $3, $4}' | sort
    systemctl list-unit-files --no-legend 'understudy*' 'puppetserver*'
    ip -br addr`);
}
