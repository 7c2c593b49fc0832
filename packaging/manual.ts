// understudy(8), made from what the commands' --help print, so that the two never differ.

const DEPTH_MAX = 3;
const SIBLINGS_MAX = 50;

/** What `understudy WORDS --help` prints. */
export interface HelpText {
  /** The words after "understudy"; none for the program itself. */
  words: string[];
  text: string;
}

/**
 * Reads the help of the program and of every command below it. `ask` runs `understudy WORDS
 * --help`.
 */
export async function collectHelp(
  ask: (words: string[]) => Promise<string>,
  words: string[] = [],
): Promise<HelpText[]> {
  const text = await ask(words);
  const found: HelpText[] = [{ words, text }];
  if (words.length >= DEPTH_MAX) return found;
  // At once: each is a process that takes a fraction of a second.
  const names = commandsIn(text).slice(0, SIBLINGS_MAX);
  const below = await Promise.all(names.map((name) => collectHelp(ask, [...words, name])));
  return [...found, ...below.flat()];
}

/**
 * The names listed under "Commands:" in a help text. An alias ("list|ls") is left out, and so is
 * "help".
 */
export function commandsIn(help: string): string[] {
  const lines = help.split("\n");
  const start = lines.findIndex((line) => /^\S*commands:$/i.test(line.trim()));
  if (start === -1) return [];
  const names: string[] = [];
  for (const line of lines.slice(start + 1)) {
    // An example stands further down, as deep as a command.
    if (/^(\S|$)/.test(line)) break;
    // Deeper lines go on with the description above them.
    const name = /^ {2}([a-z][a-z0-9-]*)/.exec(line)?.[1];
    if (name !== undefined && name !== "help") names.push(name);
  }
  return names;
}

/** The manual page in roff. `epoch` in seconds dates it. */
export function renderManual(facts: {
  version: string;
  epoch: number;
  description: string;
  help: readonly HelpText[];
}): string {
  const date = new Date(facts.epoch * 1000).toISOString().slice(0, 10);
  const [program, ...commands] = facts.help;
  return [
    `.TH UNDERSTUDY 8 ${date} "Understudy ${facts.version}" "System Administration"`,
    ".SH NAME",
    `understudy \\- ${escapeRoff(facts.description)}`,
    ".SH SYNOPSIS",
    ".B understudy",
    "[OPTION]... COMMAND [ARGUMENT]...",
    ...(program === undefined ? [] : [".SH DESCRIPTION", ...verbatim(program.text)]),
    ...(commands.length === 0 ? [] : [".SH COMMANDS"]),
    ...commands.flatMap((one) => [
      `.SS understudy ${one.words.map(escapeRoff).join(" ")}`,
      ...verbatim(one.text),
    ]),
    ...FILES,
    "",
  ].join("\n");
}

const FILES = [
  ".SH FILES",
  ...definition("/etc/understudy/node.json", "Who this member is; made by init and join."),
  ...definition("/etc/understudy/courier.json", "What the courier is told; the daemon renders it."),
  ...definition(
    "/var/lib/understudy",
    "State: keys, etcd's data, configurations that are rendered.",
  ),
  ...definition("/run/understudy", "Sockets."),
  ...definition("/usr/share/doc/understudy/README.Debian", "Units, upgrades, removal."),
  ".SH SEE ALSO",
  ".BR haproxy (1),",
  ".BR keepalived (8),",
  ".BR etcd (1),",
  ".BR systemctl (1)",
];

function definition(term: string, text: string): string[] {
  return [".TP", `.I ${escapeRoff(term)}`, escapeRoff(text)];
}

function verbatim(text: string): string[] {
  return [".nf", ...text.trimEnd().split("\n").map(escapeRoff), ".fi"];
}

/**
 * A line of plain text as roff prints it: no control line, no escapes, hyphens that can be copied.
 */
export function escapeRoff(line: string): string {
  const plain = line.replaceAll("\\", "\\e").replaceAll("-", "\\-");
  return /^[.']/.test(plain) ? `\\&${plain}` : plain;
}
