// understudy config: the cluster's settings, which hold everywhere as soon as they are changed.

import type { Command } from "commander";
import { isFault, Fault } from "../base/fault.ts";
import { oneLine } from "../base/printable.ts";
import { renderTable } from "../base/table.ts";
import {
  CATALOG,
  defaultOf,
  diffSettings,
  editableOf,
  renderSetting,
  requireKey,
  SETTING_KEYS,
} from "../cluster/settings/catalog.ts";
import {
  type ConfigChange,
  ConfigChanged,
  ConfigFormer,
  ConfigShown,
} from "../setup/config-contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { editSettings } from "./config-edit.ts";
import { renderChanges, TEXT_MAX } from "./config-text.ts";
import { createOutput, type Output } from "./output.ts";

const TRIES_MAX = 5;

interface Flags {
  json?: boolean;
  dryRun?: boolean;
}

export function addConfig(program: Command): void {
  const config = program
    .command("config")
    .description("the cluster's settings: they hold on every member at once, without a restart");
  addReading(config);
  config
    .command("set")
    .argument("<setting>", "its name, as in the list")
    .argument("<value...>", "its new value; a list takes several, and replaces all there were")
    .description("change one setting")
    .option("--dry-run", "only say what would change")
    .option("--json", "print JSON")
    .addHelpText("after", SET_HELP)
    .action(async (key: string, words: string[], flags: Flags) => {
      const value = CATALOG[requireKey(key)].read(words);
      await changeOne(key, value, flags);
    });
  config
    .command("unset")
    .argument("<setting>", "its name, as in the list")
    .description("put one setting back to what it is without anybody's word")
    .option("--dry-run", "only say what would change")
    .option("--json", "print JSON")
    .addHelpText("after", `\n  understudy config unset acceptProxyFrom\n${CHANGE_CODES}`)
    .action(async (key: string, flags: Flags) => changeOne(key, defaultOf(requireKey(key)), flags));
  config
    .command("edit")
    .description("all settings in an editor ($VISUAL, $EDITOR); checked before anything changes")
    .option("--file <file>", "begin with this text, as one that was kept")
    .option("--dry-run", "only say what would change")
    .option("--json", "print JSON")
    .addHelpText("after", `\n  understudy config edit\n${CHANGE_CODES}`)
    .action(async (flags: Flags & { file?: string }) => {
      const output = createOutput(flags.json === true);
      const change = async (wish: ConfigChange) => send(wish, flags);
      const door = { show: readShown, formerAt: readFormerAt, change };
      const done = await editSettings(flags, output, door);
      if (done === undefined) output.result({ changes: [] }, "Nothing was changed.");
      else print(output, done, flags);
    });
  config
    .command("rollback")
    .argument("<revision>", "a former state, as in understudy config history")
    .description("make the settings what they were once")
    .option("--dry-run", "only say what would change")
    .option("--json", "print JSON")
    .addHelpText("after", `\n  understudy config rollback 4711\n${CHANGE_CODES}`)
    .action(async (text: string, flags: Flags) => {
      const { revision } = await readShown();
      const { settings } = await readFormer(text);
      const done = await send({ revision, settings: editableOf(settings) }, flags);
      print(createOutput(flags.json === true), done, flags);
    });
}

function addReading(config: Command): void {
  config
    .command("show")
    .description("every setting, what it is, and how it is typed")
    .option("--json", "print JSON")
    .addHelpText("after", `\n  understudy config show\n${READ_CODES}`)
    .action(async (flags: Flags) => {
      const shown = await readShown();
      createOutput(flags.json === true).result(shown, renderShown(shown));
    });
  config
    .command("diff")
    .argument("[revision]", "a former state; else the one before the last change")
    .description("what is otherwise now than it was")
    .option("--json", "print JSON")
    .addHelpText("after", `\n  understudy config diff\n${READ_CODES}`)
    .action(async (text: string | undefined, flags: Flags) => {
      const { former } = await readHistory();
      const last = former.at(-1);
      if (text === undefined && last === undefined) {
        createOutput(flags.json === true).result([], "The settings were never changed.");
        return;
      }
      const before = await readFormer(text ?? String(last?.revision));
      const changes = diffSettings(before.settings, (await readShown()).settings);
      createOutput(flags.json === true).result(changes, renderChanges(changes));
    });
  config
    .command("history")
    .description("former states that are kept, and what the change after each was")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
  understudy config history

Who it was: understudy history --kind command setting
${READ_CODES}`,
    )
    .action(async (flags: Flags) => {
      const answer = await readHistory();
      createOutput(flags.json === true).result(answer, renderFormer(answer));
    });
}

/** Changes one setting, again where somebody else changed another one in between. */
async function changeOne(key: string, value: unknown, flags: Flags): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const { revision, settings } = await readShown();
    const wish = { ...editableOf(settings), [key]: value };
    try {
      const done = await send({ revision, settings: wish }, flags);
      print(createOutput(flags.json === true), done, flags);
      return;
    } catch (error) {
      if (!isFault(error, "config.changed") || tries >= TRIES_MAX) throw error;
    }
  }
}

async function send(body: ConfigChange, { dryRun }: Flags): Promise<ConfigChanged> {
  const path = dryRun === true ? "/v1/config/plan" : "/v1/config";
  return callDaemon("POST", path, { body, answer: ConfigChanged });
}

async function readShown(): Promise<ConfigShown> {
  return callDaemon("GET", "/v1/config", { answer: ConfigShown });
}

async function readHistory(): Promise<ConfigFormer> {
  return callDaemon("GET", "/v1/config/former", { answer: ConfigFormer });
}

async function readFormer(text: string): Promise<ConfigShown> {
  if (!/^\d{1,15}$/.test(text)) {
    throw new Fault("cli.option", `"${text}" is no revision: see understudy config history`);
  }
  return readFormerAt(Number(text));
}

async function readFormerAt(revision: number): Promise<ConfigShown> {
  return callDaemon("GET", `/v1/config/former/${revision}`, { answer: ConfigShown });
}

function print(output: Output, done: ConfigChanged, flags: Flags): void {
  const said = flags.dryRun === true ? "It would change:" : "Changed:";
  const text =
    done.changes.length === 0 ? "That is so already." : `${said}\n${renderChanges(done.changes)}`;
  output.result(done, text);
}

/** The settings as a table. */
export function renderShown({ settings, because }: ConfigShown): string {
  const rows = SETTING_KEYS.map((key) => [
    key,
    oneLine(renderSetting(key, settings[key]), TEXT_MAX),
    CATALOG[key].what,
  ]);
  const table = renderTable(["SETTING", "VALUE", "WHAT"], rows);
  if (because === "") return table;
  return `${table}\n\n! As this member last read them: the record can't be read (${oneLine(because, TEXT_MAX)}).`;
}

function renderFormer({ former }: ConfigFormer): string {
  if (former.length === 0) return "The settings were never changed.";
  const rows = former.map(({ revision, until, changes }) => [
    String(revision),
    oneLine(until, TEXT_MAX),
    changes.map(({ key, from, to }) => oneLine(`${key}: ${from} → ${to}`, TEXT_MAX)).join("; "),
  ]);
  return renderTable(["REVISION", "UNTIL", "THEN CHANGED"], rows);
}

const READ_CODES = "\nExit code: 0 answered, 1 this server's daemon can't be asked.";
const CHANGE_CODES = "\nExit code: 0 changed, or so already; 1 refused, with the rule.";

const [FIRST_FORM = [], ...FORM_ROWS] = SETTING_KEYS.map((key) => [`  ${key}`, CATALOG[key].form]);

const SET_HELP = `
Settings:
${renderTable(FIRST_FORM, FORM_ROWS)}

  understudy config set virtualIps 10.0.0.10/24 10.0.1.10/24
  understudy config set puppetdbNodeTtlS 14d
${CHANGE_CODES}`;
