// A small real SMTP server on loopback: plain, STARTTLS or TLS, with or without AUTH PLAIN. It can
// be told to fail at each of its steps, and keeps what it was given.

import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";

export interface Mailbox {
  port: number;
  /** What came: who it is from and for, as the envelope says, and the text as it was sent. */
  mails: { from: string; to: string[]; text: string; secure: boolean; auth: string }[];
  /** All that clients have said before they had TLS. */
  said: string[];
  /** What it does from now on. */
  mode: SmtpMode;
  close(): Promise<void>;
}

/**
 * `picks`: it takes nothing for who is night; `filters`: it refuses what it was given; `stall`: it
 * greets and says no more; `drip`: it answers one character a time, for ever.
 */
export type SmtpMode = "takes" | "refuses" | "picks" | "filters" | "stall" | "drip" | "mute";

interface SmtpOptions {
  tls?: { cert: string; key: string };
  /** TLS from the first byte. */
  implicit?: boolean;
  /** The user and password that it wants, as in AUTH PLAIN. */
  auth?: { user: string; password: string };
}

export async function startSmtp(options: SmtpOptions = {}): Promise<Mailbox> {
  const sockets = new Set<Socket>();
  const box: Omit<Mailbox, "port" | "close"> = { mails: [], said: [], mode: "takes" };
  const server = createServer((raw) => {
    sockets.add(raw);
    raw.on("close", () => sockets.delete(raw));
    raw.on("error", () => undefined);
    if (options.implicit === true) talk(box, options, secure(raw, options), true);
    else talk(box, options, raw, false);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(box, {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  });
}

function secure(raw: Socket, { tls }: SmtpOptions): TLSSocket {
  const socket = new TLSSocket(raw, { isServer: true, secureContext: createSecureContext(tls) });
  socket.on("error", () => undefined);
  return socket;
}

function talk(
  box: Omit<Mailbox, "port" | "close">,
  options: SmtpOptions,
  socket: Socket,
  isSecure: boolean,
  greets = true,
): void {
  const mail = { from: "", to: [] as string[], text: "", auth: "" };
  let rest = "";
  let inData = false;
  const say = (line: string) => {
    if (box.mode === "drip") {
      const timer = setInterval(() => socket.write("2"), 20);
      socket.on("close", () => clearInterval(timer));
    } else if (box.mode !== "stall" && box.mode !== "mute") socket.write(`${line}\r\n`);
  };
  if (box.mode !== "mute" && greets) socket.write("220 mail.test ESMTP\r\n");
  const command = (line: string) => {
    const [verb = ""] = line.toUpperCase().split(" ");
    if (!isSecure) box.said.push(line);
    if (verb === "EHLO") {
      const more = [
        ...(options.tls !== undefined && !isSecure ? ["STARTTLS"] : []),
        ...(options.auth === undefined ? [] : ["AUTH PLAIN"]),
        "8BITMIME",
      ];
      say(
        ["mail.test", ...more]
          .map((each, n, all) => `250${n < all.length - 1 ? "-" : " "}${each}`)
          .join("\r\n"),
      );
    } else if (verb === "STARTTLS") {
      say("220 go on");
      socket.removeListener("data", onData);
      talk(box, options, secure(socket, options), true, false);
    } else if (verb === "AUTH") {
      const { user, password } = options.auth ?? { user: "", password: "" };
      const given = Buffer.from(line.split(" ")[2] ?? "", "base64").toString("utf8");
      mail.auth = given.split("\0")[1] ?? "";
      say(given === `\0${user}\0${password}` ? "235 welcome" : "535 5.7.8 wrong password");
    } else if (verb === "MAIL") {
      mail.from = /<(.*)>/.exec(line)?.[1] ?? "";
      say("250 ok");
    } else if (verb === "RCPT") {
      const to = /<(.*)>/.exec(line)?.[1] ?? "";
      const isRefused = box.mode === "refuses" || (box.mode === "picks" && to.startsWith("night"));
      if (!isRefused) mail.to.push(to);
      say(isRefused ? "550 5.1.1 no such user" : "250 ok");
    } else if (verb === "DATA") {
      inData = true;
      say("354 end with .");
    } else if (verb === "QUIT") {
      say("221 bye");
      socket.end();
    } else say("250 ok");
  };
  const onData = (chunk: Buffer) => {
    rest += chunk.toString("utf8");
    for (let at = rest.indexOf("\r\n"); at >= 0; at = rest.indexOf("\r\n")) {
      const line = rest.slice(0, at);
      rest = rest.slice(at + 2);
      if (!inData) command(line);
      else if (line === ".") {
        inData = false;
        const isKept = box.mode !== "filters";
        if (isKept) box.mails.push({ ...mail, to: [...mail.to], secure: isSecure });
        mail.to.length = 0;
        mail.text = "";
        say(isKept ? "250 kept" : "554 5.7.1 looks like spam");
      } else mail.text += `${line.startsWith("..") ? line.slice(1) : line}\r\n`;
    }
  };
  socket.on("data", onData);
}
