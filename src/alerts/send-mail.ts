// One mail to one SMTP server, within a deadline. The socket is ours, so that a server that goes on
// answering slowly is left all the same. Without TLS no password is sent.

import { once } from "node:events";
import { connect, isIP, type Socket } from "node:net";
import { getCACertificates } from "node:tls";
import { createTransport } from "nodemailer";
import { messageOf } from "../base/fault.ts";
import { oneLine } from "../base/printable.ts";
import { deadline } from "../base/retry.ts";
import type { AlertChannel } from "../cluster/schema.ts";
import { SMTP_PORTS } from "./channel.ts";
import type { Mail } from "./render.ts";

const SAID_MAX = 200;

/** What came of sending something. */
export interface Sent {
  ok: boolean;
  because: string;
  /**
   * `partly`: some of its receivers have it, and would get it twice; `itself`: it is refused for
   * what it is, others may be taken.
   */
  refused?: "partly" | "itself";
}

/** Sends it. Never throws: says why it wasn't taken. `ca`: PEM, trusted besides the system's. */
export async function sendMail(
  channel: AlertChannel,
  mail: Mail,
  options: { password?: string | undefined; ca: readonly string[]; name: string; withinMs: number },
): Promise<Sent> {
  const { host = "localhost", security = "starttls", from = "", to = [], user } = channel;
  const { password, withinMs } = options;
  const signal = deadline(withinMs);
  let socket: Socket | undefined;
  const give = () => socket?.destroy();
  signal.addEventListener("abort", give, { once: true });
  try {
    socket = connect({ host, port: channel.port ?? SMTP_PORTS[security] });
    await once(socket, "connect", { signal });
    const transport = createTransport({
      connection: socket,
      host,
      name: options.name,
      secure: security === "tls",
      requireTLS: security === "starttls",
      ignoreTLS: security === "none",
      connectionTimeout: withinMs,
      greetingTimeout: withinMs,
      socketTimeout: withinMs,
      socketCloseTimeout: 0,
      tls: {
        ca: [...options.ca, ...getCACertificates("system"), ...getCACertificates()],
        ...(isIP(host) === 0 && { servername: host }),
      },
      ...(user !== undefined &&
        password !== undefined &&
        security !== "none" && { auth: { user, pass: password } }),
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    const { rejected, rejectedErrors = [] } = await transport.sendMail({
      from,
      to: [...to],
      ...mail,
      headers: { "auto-submitted": "auto-generated" },
    });
    if (rejected.length === 0) return { ok: true, because: "" };
    const why = rejectedErrors.map(({ response = "" }) => response).find((text) => text !== "");
    const because = oneLine(`not for ${rejected.join(", ")}: ${why ?? "refused"}`, SAID_MAX);
    return { ok: false, because, refused: "partly" };
  } catch (error) {
    const because = signal.aborted
      ? `${host} hasn't taken it within ${Math.round(withinMs / 1000)} s`
      : oneLine(messageOf(error), SAID_MAX);
    return { ok: false, because, ...(isOfText(error) && { refused: "itself" }) };
  } finally {
    signal.removeEventListener("abort", give);
    socket?.destroy();
  }
}

/** Whether a server has refused for good what it was given to the end, as a filter does. */
function isOfText(error: unknown): boolean {
  const { command, responseCode } = error as { command?: unknown; responseCode?: unknown };
  return command === "DATA" && Number(responseCode) >= 500;
}
