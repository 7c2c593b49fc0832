// Real receivers on loopback: what they are sent, and what is said of those that take nothing.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { AlertChannel } from "../cluster/schema.ts";
import { opensslFolder } from "../x509/testing/openssl.ts";
import { renderMail, renderWebhook } from "./render.ts";
import { sendMail } from "./send-mail.ts";
import { sendWebhook } from "./send-webhook.ts";
import { emptyMessage } from "./outbox.ts";
import type { Message } from "./state.ts";
import { type Mailbox, type SmtpMode, startSmtp } from "./testing/smtp.ts";
import { startWebhook, type WebhookMode } from "./testing/webhook.ts";

const SHORT_MS = 400;
const LONG_MS = 20_000;
const { openssl, read } = opensslFolder();
const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
openssl(
  ..."req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split(" "),
  "-addext",
  names,
  ..."-keyout key.pem -out cert.pem".split(" "),
);
const TLS = { cert: read("cert.pem").toString(), key: read("key.pem").toString() };

const HOSTILE = "s2\r\nBcc: evil@example.com\r\n\r\n<b>&\u202e*x*<!channel> \u001b[31m";

function message(text: string): Message {
  const change = { change: "raised", kind: "edge-down", severity: "critical" as const };
  return { ...emptyMessage("ops", "id-1", 0), changes: [{ ...change, text, sinceMs: 0 }] };
}

function mailTo({ port }: Mailbox, more: Partial<AlertChannel> = {}): AlertChannel {
  return AlertChannel.parse({
    name: "ops",
    type: "mail",
    host: "localhost",
    port,
    security: "none",
    from: "understudy@example.com",
    to: ["ops@example.com", "night@example.com"],
    ...more,
  });
}

async function mailBox(t: { after(act: () => Promise<void>): void }, options = {}) {
  const box = await startSmtp(options);
  t.after(async () => box.close());
  return box;
}

const mail = (text: string) => renderMail(message(text), "puppet.test");
const how = (more = {}) => ({ ca: [TLS.cert], name: "s1.test", withinMs: LONG_MS, ...more });

test("sendMail gives a mail to a server, without TLS where none is asked for", async (t) => {
  const box = await mailBox(t);
  assert.deepEqual(await sendMail(mailTo(box), mail("s2's edge is down"), how()), {
    ok: true,
    because: "",
  });
  const [got, ...others] = box.mails;
  assert.deepEqual(others, []);
  assert.equal(got?.from, "understudy@example.com");
  assert.deepEqual(got?.to, ["ops@example.com", "night@example.com"]);
  assert.match(got?.text ?? "", /^Subject: \[puppet\.test\] critical: s2's edge is down\r$/m);
  assert.match(got?.text ?? "", /^Message-ID: <id-1@understudy\.puppet\.test>\r$/im);
  assert.match(got?.text ?? "", /^Auto-Submitted: auto-generated\r$/im);
});

test("sendMail sends a password through TLS only, by STARTTLS and from the first byte", async (t) => {
  const auth = { user: "ops", password: "s3cret" };
  for (const security of ["starttls", "tls"] as const) {
    const box = await mailBox(t, { tls: TLS, auth, implicit: security === "tls" });
    const channel = mailTo(box, { security, user: "ops" });
    const sent = await sendMail(channel, mail("x"), how({ password: "s3cret" }));
    assert.deepEqual(sent, { ok: true, because: "" }, security);
    assert.deepEqual(
      box.mails.map(({ secure, auth: user }) => [secure, user]),
      [[true, "ops"]],
    );
    assert.ok(!box.said.some((line) => /auth/i.test(line)), "nothing of it in the clear");
    const wrong = await sendMail(channel, mail("x"), how({ password: "other" }));
    assert.match(wrong.because, /wrong password/);
  }
});

test("sendMail refuses a server without the TLS that is asked for, or one it can't trust", async (t) => {
  const plain = await mailBox(t);
  const without = await sendMail(mailTo(plain, { security: "starttls" }), mail("x"), how());
  assert.equal(without.ok, false);
  const foreign = await mailBox(t, { tls: TLS });
  const untrusted = await sendMail(
    mailTo(foreign, { security: "starttls" }),
    mail("x"),
    how({ ca: [] }),
  );
  assert.match(untrusted.because, /self-signed|certificate/i);
  assert.deepEqual([...plain.mails, ...foreign.mails], []);
});

test("a mail's subject and text can't be broken out of", async (t) => {
  const box = await mailBox(t);
  assert.equal((await sendMail(mailTo(box), mail(HOSTILE), how())).ok, true);
  const [head = "", ...body] = (box.mails[0]?.text ?? "").split("\r\n\r\n");
  assert.doesNotMatch(head, /^bcc:/im);
  assert.deepEqual(box.mails[0]?.to, ["ops@example.com", "night@example.com"]);
  assert.match(head, /^Subject: /m);
  assert.ok(!(head + body.join("")).includes("\u001b"));
});

test("sendMail says for whom a mail wasn't taken that others have", async (t) => {
  const box = await mailBox(t);
  box.mode = "picks";
  assert.deepEqual(await sendMail(mailTo(box), mail("x"), how()), {
    ok: false,
    because: "not for night@example.com: 550 5.1.1 no such user",
    refused: "partly",
  });
  assert.deepEqual(box.mails[0]?.to, ["ops@example.com"]);
});

test("sendMail and sendWebhook tell a message that isn't liked from a receiver that takes none", async (t) => {
  const box = await mailBox(t);
  const hook = await startWebhook();
  t.after(async () => hook.close());
  const post = async (mode: WebhookMode) => {
    hook.mode = mode;
    return sendWebhook(hook.url, "{}", { ca: [], withinMs: LONG_MS });
  };
  box.mode = "filters";
  const filtered = await sendMail(mailTo(box), mail("x"), how());
  assert.deepEqual([filtered.ok, filtered.refused], [false, "itself"]);
  assert.match(filtered.because, /looks like spam/);
  box.mode = "refuses";
  assert.equal((await sendMail(mailTo(box), mail("x"), how())).refused, undefined);
  assert.equal((await post(413)).refused, "itself");
  for (const mode of [401, 404, 429, 500] as const) {
    assert.equal((await post(mode)).refused, undefined, String(mode));
  }
});

const BAD_SERVERS: [SmtpMode, RegExp][] = [
  ["refuses", /no such user/],
  ["stall", /hasn't taken it within/],
  ["drip", /hasn't taken it within/],
  ["mute", /hasn't taken it within|[Gg]reeting/],
];
for (const [mode, because] of BAD_SERVERS) {
  test(`sendMail says why a server takes nothing that ${mode}`, async (t) => {
    const box = await mailBox(t);
    box.mode = mode;
    const withinMs = mode === "refuses" ? LONG_MS : SHORT_MS;
    const sent = await sendMail(mailTo(box), mail("x"), how({ withinMs }));
    assert.equal(sent.ok, false);
    assert.match(sent.because, because);
  });
}

test("sendMail says that nobody listens", async (t) => {
  const box = await mailBox(t);
  const channel = mailTo(box, { port: 1 });
  assert.match((await sendMail(channel, mail("x"), how())).because, /ECONNREFUSED|connect/);
});

test("sendWebhook posts JSON, over https to whom it trusts only", async () => {
  const hook = await startWebhook(TLS);
  after(async () => hook.close());
  const body = renderWebhook("json", message("down"), "puppet.test");
  assert.deepEqual(await sendWebhook(hook.url, body, { ca: [TLS.cert], withinMs: LONG_MS }), {
    ok: true,
    because: "",
  });
  const { cluster, changes, id } = JSON.parse(hook.bodies[0] ?? "") as Record<string, unknown>;
  assert.deepEqual([cluster, id], ["puppet.test", "id-1"]);
  assert.deepEqual(changes, message("down").changes);
  const untrusted = await sendWebhook(hook.url, body, { ca: [], withinMs: LONG_MS });
  assert.equal(untrusted.ok, false);
});

const BAD_HOOKS: [string, WebhookMode, RegExp][] = [
  ["answers 500", 500, /^it answers 500: no\\u\{1b\}\[31m\\u\{a\}such thing$/],
  ["sends elsewhere", 302, /^it answers 302: .*redirects aren't followed/],
  ["doesn't answer", "stall", /^it hasn't answered within/],
  ["answers without end", "endless", /^it answers 500: x+…$/],
  ["answers byte by byte", "drip", /^it hasn't answered within/],
  ["hangs up", "hang-up", /^it doesn't answer: /],
  ["says what it was asked for", "echo", /^it answers 404$/],
];
for (const [what, mode, because] of BAD_HOOKS) {
  test(`sendWebhook says why a receiver takes nothing that ${what}, and not where it is`, async (t) => {
    const hook = await startWebhook();
    t.after(async () => hook.close());
    hook.mode = mode;
    const withinMs = mode === "stall" || mode === "drip" ? SHORT_MS : LONG_MS;
    const sent = await sendWebhook(hook.url, "{}", { ca: [], withinMs });
    assert.equal(sent.ok, false);
    assert.match(sent.because, because);
    assert.doesNotMatch(sent.because, /secret/);
  });
}

test("renderWebhook gives chats text that calls nobody and formats nothing", () => {
  const slack = JSON.parse(renderWebhook("slack", message(HOSTILE), "p")) as { text: string };
  assert.doesNotMatch(slack.text, /<!channel>|<b>/);
  assert.match(slack.text, /&lt;!channel&gt;/);
  for (const bad of ["\r", "\u202e", "\u001b"]) assert.ok(!slack.text.includes(bad));
  const teams = renderWebhook("teams", message(HOSTILE), "p");
  const { attachments } = JSON.parse(teams) as {
    attachments: { content: { body: { type: string }[] } }[];
  };
  const blocks = attachments[0]?.content.body.map(({ type }) => type);
  assert.deepEqual(blocks, ["RichTextBlock", "RichTextBlock"]);
});

test("renderWebhook gives Teams no more than it takes, and says how much is left out", () => {
  const line = `  File[/etc/motd] (/site.pp:12): ${"x".repeat(200)}`;
  const lines = Array.from({ length: 100 }, () => line);
  const digest = { title: "runs of 40 nodes failed", lines };
  const body = renderWebhook("teams", { ...emptyMessage("ops", "id-1", 0), digest }, "p");
  assert.ok(Buffer.byteLength(body) <= 26_000, `${Buffer.byteLength(body)} bytes`);
  assert.match(body, /\b\d+ lines were left out/);
  const [few] = lines;
  const short = { ...emptyMessage("ops", "id-1", 0), digest: { ...digest, lines: [few ?? ""] } };
  assert.doesNotMatch(renderWebhook("teams", short, "p"), /left out/);
});
