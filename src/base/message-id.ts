// The id by which the journal finds every line of one kind of event (MESSAGE_ID of
// systemd.journal-fields(7)): made of the event's name, so that it is the same everywhere.

import { createHash } from "node:crypto";

/** 32 hexadecimal digits. */
export function messageIdOf(event: string): string {
  return createHash("sha256").update(`understudy event ${event}`).digest("hex").slice(0, 32);
}
