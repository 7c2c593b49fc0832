// understudy alerts list|test|mail|webhook|remove|failed-runs: who learns by mail or chat what is
// wrong.

import type { Command } from "commander";
import { wantsFailedRuns } from "../alerts/failed-runs.ts";
import { CHANNEL_TYPES, ChannelWish, SMTP_PORTS } from "../alerts/channel.ts";
import { parseDuration, renderDuration } from "../base/duration.ts";
import { Fault } from "../base/fault.ts";
import { oneLine } from "../base/printable.ts";
import { renderTable } from "../base/table.ts";
import { AlertsShown, AlertTested } from "../setup/alerts-contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { createOutput, testedCode } from "./output.ts";
import { askUnseen, readSecretFile } from "./secret.ts";

/** Longer than one attempt at a channel. */
const TEST_MS = 45_000;
const TEXT_MAX = 160;

interface Choice {
  minSeverity: string;
  kinds?: string[];
  except?: string[];
  json?: boolean;
}

export function addAlerts(program: Command): void {
  const alerts = program
    .command("alerts")
    .description("what status warns of, by mail and webhook: once for the whole cluster");
  alerts
    .command("list")
    .description("the channels, and which alerts are raised")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy alerts list\n\nExit code: 0 listed, 1 the daemon doesn't answer.",
    )
    .action(async (flags: { json?: boolean }) => {
      show(await callDaemon("GET", "/v1/alerts", { answer: AlertsShown }), flags);
    });
  alerts
    .command("test")
    .argument("[channel]", "one of the list; all, if it is left out")
    .description("send a test now, and say what came of it")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy alerts test ops\n\nExit code: 0 every one took it, 1 one didn't, or nothing was asked.",
    )
    .action(async (channel: string | undefined, flags: { json?: boolean }) => {
      const tested = await callDaemon("POST", "/v1/alerts/test", {
        body: channel === undefined ? {} : { channel },
        answer: AlertTested,
        withinMs: TEST_MS,
      });
      createOutput(flags.json === true).result(tested, renderTested(tested));
      process.exitCode = testedCode(tested.results);
    });
  addMail(alerts);
  addWebhook(alerts);
  alerts
    .command("remove")
    .argument("<name>", "as in the list")
    .description("send no more alerts there, and forget its password or URL")
    .option("--json", "print JSON")
    .addHelpText("after", `\n  understudy alerts remove chat\n${EXIT_HELP}`)
    .action(async (name: string, flags: { json?: boolean }) => {
      const path = `/v1/alerts/channels/${encodeURIComponent(name)}`;
      show(await callDaemon("DELETE", path, { answer: AlertsShown }), flags);
    });
  alerts
    .command("failed-runs")
    .description("tell of agents' failed runs too: one message for an interval (off by default)")
    .option("--every <duration>", "at most so often, as in 1h")
    .option("--off", "tell of none")
    .option("--json", "print JSON")
    .addHelpText("after", FAILED_HELP)
    .action(async (flags: { every?: string; off?: boolean; json?: boolean }) => {
      const body = readFailedRuns(flags);
      show(
        await callDaemon("POST", "/v1/alerts/failed-runs", { body, answer: AlertsShown }),
        flags,
      );
    });
}

function addMail(alerts: Command): void {
  withChoice(
    alerts
      .command("mail")
      .argument("<name>", "a name of its own, as in ops; one that is there is replaced")
      .description("send alerts by mail")
      .requiredOption("--server <host[:port]>", "the SMTP server")
      .requiredOption("--from <address>", "the sender")
      .requiredOption("--to <address...>", "the receivers")
      .option("--security <how>", "starttls, tls or none", "starttls")
      .option("--user <name>", "who signs in there; its password is asked for")
      .option("--password-file <file>", 'where the password is, "-" for standard input'),
  )
    .addHelpText("after", MAIL_HELP)
    .action(
      async (
        name: string,
        flags: Choice & {
          server: string;
          from: string;
          to: string[];
          security: string;
          user?: string;
          passwordFile?: string;
        },
      ) => {
        const { user, passwordFile, from, to, security } = flags;
        const needed = user !== undefined || passwordFile !== undefined;
        const password = needed ? await readSecret(passwordFile, "--password-file") : undefined;
        const wish = readChannel(name, flags, {
          ...readServer(flags.server),
          type: "mail",
          from,
          to,
          security,
          ...(user !== undefined && { user }),
          ...(password !== undefined && { password }),
        });
        await set(wish, flags);
      },
    );
}

function addWebhook(alerts: Command): void {
  withChoice(
    alerts
      .command("webhook")
      .argument("<name>", "a name of its own, as in chat; one that is there is replaced")
      .description("send alerts to a URL, which is asked for: it is a secret")
      .option("--type <type>", "json, slack or teams", "json")
      .option("--url-file <file>", 'where the URL is, "-" for standard input'),
  )
    .addHelpText("after", WEBHOOK_HELP)
    .action(async (name: string, flags: Choice & { type: string; urlFile?: string }) => {
      if (flags.type === "mail") throw notType(flags.type);
      const url = await readSecret(flags.urlFile, "--url-file");
      await set(readChannel(name, flags, { type: flags.type, url }), flags);
    });
}

function withChoice(command: Command): Command {
  return command
    .option("--min-severity <severity>", "warning or critical: nothing less", "warning")
    .option("--kinds <kind...>", "only these kinds, as in etcd or puppetdb-unfit")
    .option("--except <kind...>", "not these kinds")
    .option("--json", "print JSON");
}

async function set(wish: ChannelWish, flags: { json?: boolean }): Promise<void> {
  const shown = await callDaemon("POST", "/v1/alerts/channels", {
    body: wish,
    answer: AlertsShown,
  });
  show(shown, flags);
  createOutput(flags.json === true).progress(`Try it: understudy alerts test ${wish.name}`);
}

/** What was typed, as the daemon takes it. Throws Fault `cli.option`. */
export function readChannel(
  name: string,
  { minSeverity, kinds, except }: Omit<Choice, "json">,
  more: Readonly<Record<string, unknown>>,
): ChannelWish {
  const list = (words: string[]) => words.flatMap((word) => word.split(",")).filter(Boolean);
  const parsed = ChannelWish.safeParse({
    name,
    minSeverity,
    ...(kinds && { kinds: list(kinds) }),
    ...(except && { except: list(except) }),
    ...more,
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = issue?.path.join(".") ?? "";
  // Never the value: it may be the secret.
  throw new Fault("cli.option", `${OPTIONS[path.split(".")[0] ?? ""] ?? path}: ${issue?.message}`);
}

const OPTIONS: Record<string, string> = {
  minSeverity: "--min-severity",
  type: "--type",
  host: "--server",
  port: "--server",
  security: "--security",
  from: "--from",
  to: "--to",
  url: "--url-file",
  password: "--password-file",
};

/** HOST, HOST:PORT or [ADDRESS]:PORT. Throws Fault `cli.option`. */
export function readServer(text: string): { host: string; port?: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw new Fault("cli.option", `--server "${text}": HOST or HOST:PORT`);
  return { host, ...(port !== undefined && { port: Number(port) }) };
}

/** How often failed runs are told. Throws Fault `cli.option`, `base.duration`. */
export function readFailedRuns({ every, off }: { every?: string; off?: boolean }) {
  if ((every === undefined) === (off !== true)) {
    throw new Fault("cli.option", "either --every DURATION or --off");
  }
  if (every === undefined) return {};
  const everyS = parseDuration(every);
  if (everyS >= 60 && everyS <= 7 * 86_400) return { everyS };
  throw new Fault("cli.option", `--every "${every}": from 1m to 7d`);
}

async function readSecret(file: string | undefined, option: string): Promise<string> {
  if (file !== undefined) return readSecretFile(file, option);
  if (process.stdin.isTTY) return askUnseen(option === "--url-file" ? "URL: " : "Password: ");
  throw new Fault("cli.option", `there is nobody to ask for the secret: ${option} FILE, or "-"`);
}

function notType(type: string): Fault {
  const types = CHANNEL_TYPES.filter((each) => each !== "mail").join(", ");
  return new Fault("cli.option", `--type "${type}" is none of ${types}`);
}

function show(shown: AlertsShown, { json }: { json?: boolean }): void {
  createOutput(json === true).result(shown, renderAlerts(shown));
}

/** The channels and what is raised, for people. */
export function renderAlerts({ channels, alerts, failedRunsEveryS, because }: AlertsShown): string {
  const rows = channels.map((channel) => [
    channel.name,
    channel.type,
    whereTo(channel),
    whichOf(channel),
    because === "" ? standing(channel) : "not known",
  ]);
  const table =
    channels.length === 0
      ? "Alerts go nowhere: understudy alerts mail --help, or webhook"
      : renderTable(["CHANNEL", "TYPE", "TO", "TELLS", "STATE"], rows);
  const raised = alerts.map(
    ({ severity, text, since, flapping }) =>
      `! ${severity} since ${since.slice(0, 16).replace("T", " ")}${flapping ? ", comes and goes" : ""}: ${oneLine(text, TEXT_MAX)}`,
  );
  const runs =
    failedRunsEveryS === undefined
      ? "Agents' failed runs: not told."
      : `Agents' failed runs: told at most every ${renderDuration(failedRunsEveryS)}${whoNot(channels)}.`;
  const known = because === "" ? [] : [`Only what this member last read: ${because}`];
  return [table, "", runs, ...known, ...(raised.length === 0 ? [] : ["", ...raised])].join("\n");
}

/** What is to be said where nobody is told. */
function whoNot(channels: AlertsShown["channels"]): string {
  const isTold = channels.some((channel) => wantsFailedRuns(channel));
  return isTold ? "" : ", but no channel takes them (warnings of the kind agents-failed)";
}

function whereTo(channel: AlertsShown["channels"][number]): string {
  if (channel.type !== "mail") return channel.hasSecret ? "its URL" : "URL not known";
  const { host = "?", security = "starttls", port = SMTP_PORTS[security], to = [] } = channel;
  return `${to.join(" ")} by ${host}:${port}`;
}

function whichOf({ minSeverity, kinds, except }: AlertsShown["channels"][number]): string {
  const only = kinds === undefined ? "" : ` ${kinds.join(" ")}`;
  const not = except === undefined ? "" : ` not ${except.join(" ")}`;
  return `${minSeverity === "critical" ? "critical" : "all"}${only}${not}`;
}

function standing({
  failures,
  because,
  waiting,
  dropped,
  sentAt,
}: AlertsShown["channels"][number]) {
  const lost = dropped === 0 ? "" : `, ${dropped} given up`;
  if (failures > 0) {
    const how = waiting === 0 ? "takes not all" : `takes nothing, ${waiting} wait`;
    return `${how}${lost}: ${oneLine(because, TEXT_MAX)}`;
  }
  const last =
    sentAt === undefined ? "nothing sent yet" : `last ${sentAt.slice(0, 16).replace("T", " ")}`;
  return `${last}${waiting > 0 ? `, ${waiting} wait` : ""}${lost}`;
}

function renderTested({ results }: AlertTested): string {
  if (results.length === 0) return "There is no channel: understudy alerts mail --help, or webhook";
  const rows = results.map(({ channel, ok, because, tookMs }) => [
    channel,
    ok ? `took it in ${tookMs} ms` : oneLine(because, TEXT_MAX),
  ]);
  return renderTable(["CHANNEL", "TEST"], rows);
}

const EXIT_HELP = `
Exit code: 0 done, 1 refused or failed.`;

const MAIL_HELP = `
  understudy alerts mail ops --server mail.example.com --from puppet@example.com --to ops@example.com
  understudy alerts mail night --server smtp.example.com:465 --security tls --user puppet \\
    --password-file /root/mail.secret --from puppet@example.com --to pager@example.com --min-severity critical

Ports, if not given: 587 with starttls, 465 with tls, 25 with none. Without TLS nobody signs in.
${EXIT_HELP}`;

const WEBHOOK_HELP = `
  understudy alerts webhook chat --type slack --url-file /root/chat.url
  understudy alerts webhook pager --min-severity critical --except puppetdb receiver

What is posted, for each type: /usr/share/doc/understudy/alerts.md
${EXIT_HELP}`;

const FAILED_HELP = `
  understudy alerts failed-runs --every 1h

It goes to every channel that takes warnings of the kind agents-failed. Each server needs a courier
(understudy puppetdb enable): reports are seen as they pass it.
${EXIT_HELP}`;
