// A puppetserver that is a program which sleeps, on servers where nobody asks it anything: it is up
// at once, while a real one takes a minute and half a gigabyte.

import type { LabHost } from "../host.ts";

const IDLE = `[Service]
ExecStartPre=
ExecStart=
ExecStart=/bin/sleep infinity
ExecStartPost=
ExecReload=
ExecReload=/bin/true
`;

/** Has puppetserver's unit on `host` sleep from its next start on. */
export async function makeIdle(host: LabHost): Promise<void> {
  await host.writeFile("/etc/systemd/system/puppetserver.service.d/idle.conf", IDLE);
  await host.run("systemctl daemon-reload");
}
