// Alerts in words, as mail and as what webhooks speak. Pure. Danger: texts come from anywhere, also
// from agents: each is one line, bounded, and means nothing to what shows it.

import { oneLine } from "../base/printable.ts";
import type { AlertChange, Message } from "./state.ts";

/** Longest subject of a mail, characters. */
const SUBJECT_MAX = 150;
const LINE_MAX = 700;
/** Teams refuses more than 28 KB. */
const TEAMS_BYTES_MAX = 26_000;

const WORDS: Record<string, string> = {
  raised: "",
  worse: "worse: ",
  still: "still so: ",
  resolved: "resolved: ",
  flapping: "comes and goes, told again when it has been quiet for an hour: ",
  test: "test: ",
};

/** One line of one change. */
export function renderChange({ change, severity, text }: AlertChange): string {
  const how = change === "resolved" ? "" : `${severity}: `;
  return oneLine(`${how}${WORDS[change] ?? ""}${text}`, LINE_MAX);
}

/** What it is about, in a line. `cluster`: its shared name. */
export function renderSubject({ changes, more, digest }: Message, cluster: string): string {
  const [first] = changes;
  const others = changes.length - 1 + more;
  const rest = others > 0 ? ` (and ${others} more)` : "";
  const what = first === undefined ? (digest?.title ?? "nothing") : renderChange(first);
  // The end tells how many there are: it must not be cut off.
  return oneLine(`[${cluster}] ${oneLine(what, SUBJECT_MAX - 30)}${rest}`, SUBJECT_MAX + 60);
}

/** All of it, line by line. */
export function renderLines({ changes, more, digest }: Message): string[] {
  return [
    ...changes.map(renderChange),
    ...(more > 0 ? [`and ${more} more: understudy status`] : []),
    ...(digest?.lines ?? []).map((line) => oneLine(line, LINE_MAX)),
  ];
}

export interface Mail {
  subject: string;
  text: string;
  messageId: string;
}

export function renderMail(message: Message, cluster: string): Mail {
  const lines = renderLines(message);
  const end =
    message.digest === undefined
      ? "What is so now: understudy status. What to do: /usr/share/doc/understudy/alerts.md"
      : "Which runs are told: understudy alerts failed-runs --help";
  return {
    subject: renderSubject(message, cluster),
    text: [...lines, "", end, ""].join("\n"),
    // A mail that is sent twice is one to whoever sorts by it.
    messageId: `<${message.id}@understudy.${cluster}>`,
  };
}

/** The body that a webhook is sent. Throws nothing: an unknown type gets JSON. */
export function renderWebhook(type: string, message: Message, cluster: string): string {
  const subject = renderSubject(message, cluster);
  const lines = renderLines(message);
  if (type === "slack") {
    return JSON.stringify({
      text: [`*${slackText(subject)}*`, ...lines.map(slackText)].join("\n"),
    });
  }
  if (type === "teams") return renderTeams(subject, lines);
  const { id, atMs, changes, more, digest } = message;
  const at = new Date(atMs).toISOString();
  return JSON.stringify({ version: 1, cluster, id, at, subject, changes, more, digest });
}

/** Nobody is called by an alert's text, and nothing in it is a link or a format. */
function slackText(text: string): string {
  const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  // A format's sign does nothing beside a character of no width.
  return escaped.replace(/[*_~`]/g, (sign) => `\u200b${sign}\u200b`);
}

/** As many lines as a card may have. */
function renderTeams(subject: string, lines: readonly string[]): string {
  for (let kept = lines.length; ; kept -= 1) {
    const left = lines.length - kept;
    const more = left === 0 ? [] : [`${left} lines were left out: it was too long`];
    const text = JSON.stringify(teamsCard(subject, [...lines.slice(0, kept), ...more]));
    if (kept === 0 || Buffer.byteLength(text) <= TEAMS_BYTES_MAX) return text;
  }
}

/** What a workflow of Teams takes; its runs of text, unlike its blocks, have no format. */
function teamsCard(subject: string, lines: readonly string[]) {
  const run = (text: string, weight?: string) => ({
    type: "RichTextBlock",
    inlines: [{ type: "TextRun", text, ...(weight === undefined ? {} : { weight }) }],
  });
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body: [run(subject, "Bolder"), ...lines.map((line) => run(line))],
  };
  const contentType = "application/vnd.microsoft.card.adaptive";
  return { type: "message", attachments: [{ contentType, contentUrl: null, content }] };
}
