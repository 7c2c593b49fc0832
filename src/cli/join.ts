// understudy join: this server becomes a further member. The token comes from a prompt, a file or
// the environment; on the command line it is accepted, hidden from the process list, and warned
// about.

import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { Fault, messageOf } from "../base/fault.ts";
import { ClusterStatus } from "../cluster/status.ts";
import { parseToken } from "../cluster/token.ts";
import { PORTS } from "../host/paths.ts";
import { beAlone } from "../setup/alone.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { askAdmission, checkJoinable, joinSteps } from "../setup/join.ts";
import { certnameOf, lookForPuppet, observeHost } from "../setup/observe.ts";
import { addressTowards } from "../setup/own-address.ts";
import { decidePreflight } from "../setup/preflight.ts";
import { onInterruption, runSteps } from "../setup/steps.ts";
import { createOutput } from "./output.ts";
import { passPreflight, requireRoot } from "./pass-preflight.ts";

const TOKEN_VARIABLE = "UNDERSTUDY_TOKEN";

interface JoinFlags {
  token?: string;
  tokenFile?: string;
  address?: string;
  json?: boolean;
}

export function addJoin(program: Command): void {
  program
    .command("join")
    .argument("<url>", "a server of the cluster, as in https://10.0.0.11:9140")
    .description("make this Puppet server a further member of a cluster")
    .option("--token-file <file>", "read the token from this file")
    .option(
      "--token <token>",
      `the token itself; better: --token-file, ${TOKEN_VARIABLE}, or the prompt`,
    )
    .option("--address <address>", "this server's address, where the other members reach it")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy join https://10.0.0.11:9140\n\nMake a token on a server of the cluster: understudy token create\n" +
        "Interrupted, it is finished by the same command with the same token.\n\n" +
        "Exit code: 0 done, 1 refused or failed.",
    )
    .action(async (urlText: string, flags: JoinFlags) => {
      const output = createOutput(flags.json === true);
      requireRoot();
      const url = readUrl(urlText);
      const tokenText = await readToken(flags, output);
      const token = parseToken(tokenText);
      await beAlone();
      const { role } = token;
      const puppet = await lookForPuppet();
      const id = await certnameOf(puppet);
      const { kept, resumed, caIsOurs } = await checkJoinable(id, token);
      const host = url.hostname.replace(/^\[|\]$/g, "");
      const address = flags.address ?? kept?.address ?? (await addressTowards(host));
      const wanted = { sharedName: kept?.sharedName ?? id, virtualIps: [], address };
      const facts = await observeHost({ ...wanted, resumed, caIsOurs }, puppet);
      const checks = decidePreflight("join", facts).filter(({ name }) => name !== "shared name");
      const setup = await passPreflight(checks, puppet, output);
      const options = { url, token: tokenText, id, address };
      const admission = await askAdmission(options, setup);
      output.progress(` ✓ admitted to ${admission.node.sharedName} as ${role}`);
      const say = (line: string) => output.progress(line);
      await runSteps(joinSteps(options, admission, setup), say, onInterruption(say));
      const status = await callDaemon("GET", "/v1/status", { answer: ClusterStatus });
      output.result(
        { id, role, verdict: status.verdict },
        `\n${status.verdict}\nSee: understudy status`,
      );
    });
}

function readUrl(text: string): URL {
  const url = URL.parse(text.includes("://") ? text : `https://${text}:${PORTS.control}`);
  if (url?.protocol === "https:" && url.hostname !== "") {
    if (url.port === "") url.port = String(PORTS.control);
    return url;
  }
  throw new Fault(
    "cli.option",
    `"${text}" is no server's URL: it looks like https://10.0.0.11:9140`,
  );
}

async function readToken(
  flags: JoinFlags,
  output: { progress(line: string): void },
): Promise<string> {
  if (flags.token !== undefined) {
    // Setting the title overwrites the arguments that the process list shows.
    process.title = "understudy join";
    output.progress(" ! The token is in this shell's history now. It is used up by this join.");
    return flags.token;
  }
  if (flags.tokenFile !== undefined) {
    const path = flags.tokenFile;
    return readFile(path, "utf8").catch((error: unknown) => {
      throw new Fault("cli.option", `--token-file ${path} can't be read: ${messageOf(error)}`);
    });
  }
  const fromEnvironment = process.env[TOKEN_VARIABLE];
  if (fromEnvironment !== undefined) return fromEnvironment;
  if (!process.stdin.isTTY) {
    throw new Fault("cli.option", "there is no token, and nobody to ask for it", {
      hints: [`Use --token-file FILE, or set ${TOKEN_VARIABLE}.`],
    });
  }
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  const text = await ask.question("Token: ").catch(() => {
    process.stderr.write("\n");
    throw new Fault("cli.interrupted", "no token was given, so nothing was changed");
  });
  ask.close();
  return text;
}
