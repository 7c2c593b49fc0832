// understudy completion bash: made from the command tree, so that it never names what there isn't.

import type { Command } from "commander";

export function addCompletion(program: Command): void {
  program
    .command("completion")
    .argument("<shell>", "bash")
    .description("print the completion script of a shell")
    .addHelpText("after", HELP)
    .action((shell: string, _options: object, command: Command) => {
      if (shell !== "bash")
        command.error(`error: there is no completion for ${shell}; there is: bash`);
      process.stdout.write(renderBashCompletion(program));
    });
}

const HELP = `
  understudy completion bash > /etc/bash_completion.d/understudy

The package brings it already.

Exit code: 0 printed, 2 there is none for that shell.`;

/** A bash script that completes commands and options. */
export function renderBashCompletion(program: Command): string {
  const cases = paths(program).map(
    ({ path, words }) => `    "${path}") words="${words.join(" ")}" ;;`,
  );
  return `# bash completion for understudy
_understudy() {
  local path="" word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) path="$path $word" ;; esac
  done
  case "\${path# }" in
${cases.join("\n")}
    *) words="--help" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -F _understudy understudy
`;
}

function paths(command: Command, path = ""): { path: string; words: string[] }[] {
  const shown = command.commands.filter((sub) => sub.name() !== "internal");
  const options = command.options.flatMap((option) => option.long ?? []);
  const words = [...shown.map((sub) => sub.name()), ...options, "--help"];
  const below = shown.flatMap((sub) => paths(sub, `${path} ${sub.name()}`.trim()));
  return [{ path, words }, ...below];
}
