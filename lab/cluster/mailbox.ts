// Somewhere in the lab that mail goes to, and what came.

import { join } from "node:path";
import type { LabHost } from "../host.ts";

const PROGRAM = join(import.meta.dirname, "..", "mailbox.pl");
const UNIT = "lab-mailbox";
const FILE = "/var/tmp/mails";
export const MAIL_PORT = 2525;

/** Starts taking mail on `host`, with an empty box. */
export async function openMailbox(host: LabHost): Promise<void> {
  const inside = await host.copyIn(PROGRAM);
  await closeMailbox(host);
  await host.run(`rm -f ${FILE}; touch ${FILE}`);
  await host.run(
    `systemd-run --quiet --collect --unit=${UNIT} perl ${inside} ${MAIL_PORT} ${FILE}`,
  );
  await host.untilHolds(`ss -Hltn sport = :${MAIL_PORT} | grep -q .`);
}

export async function closeMailbox(host: LabHost): Promise<void> {
  await host.exec(`systemctl stop ${UNIT}`);
}

/** Subjects and texts of what came, in order. */
export async function readMails(host: LabHost): Promise<{ subject: string; text: string }[]> {
  const mails = (await host.readFile(FILE)).split("=====\n").slice(1);
  return mails.map((mail) => {
    const [, subject = ""] = /^Subject: (.*)$/m.exec(mail) ?? [];
    const text = mail.slice(mail.indexOf("\n\n") + 2);
    // Long lines come in pieces (quoted-printable).
    return { subject, text: text.replaceAll("=\n", "").replaceAll(/=20$/gm, " ") };
  });
}
