// understudy init: this server becomes the first of a cluster.

import type { Command } from "commander";
import { type Survey, surveyAuthority } from "../ca/import.ts";
import { PATHS } from "../host/paths.ts";
import { AltName, Certname, IpAddress, Network, Settings, VirtualIp } from "../cluster/schema.ts";
import { readNodeFile } from "../cluster/node-file.ts";
import { beAlone } from "../setup/alone.ts";
import { CreatedToken } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { initNode, initSteps } from "../setup/init.ts";
import { describeInit, type InitOptions } from "../setup/init-plan.ts";
import { certnameOf, lookForPuppet, observeHost } from "../setup/observe.ts";
import { guessOwnAddress } from "../setup/own-address.ts";
import { decidePreflight, renderChecks, requirePreflight } from "../setup/preflight.ts";
import type { PreflightFacts } from "../setup/facts.ts";
import { onInterruption, runSteps } from "../setup/steps.ts";
import { renderSurvey } from "../setup/takeover-report.ts";
import { check } from "./options.ts";
import { createOutput, EXIT, type Output } from "./output.ts";
import { passPreflight, requireRoot } from "./pass-preflight.ts";
import { renderJoinHint } from "./token.ts";

const TOKEN_MS = 3_600_000;

interface InitFlags {
  name: string;
  altName: string[];
  vip: string[];
  acceptProxy: string[];
  isolatedEdge: string;
  address?: string;
  dryRun?: boolean;
  json?: boolean;
}

export function addInit(program: Command): void {
  program
    .command("init")
    .description("make this Puppet server the first of a highly available cluster")
    .requiredOption("--name <name>", "the shared name that agents use, as in puppet.example.com")
    .option(
      "--alt-name <name>",
      "a further name or address that agents call the servers by; may be given several times",
      collect,
      [],
    )
    .option(
      "--vip <address/prefix>",
      "a virtual IP for the shared name; may be given several times",
      collect,
      [],
    )
    .option("--address <address>", "this server's address, where the other servers reach it")
    .option(
      "--accept-proxy <from>",
      "take the PROXY protocol from this balancer or network; repeatable",
      collect,
      [],
    )
    .option(
      "--isolated-edge <serve|refuse>",
      "what a booting edge does that hears nothing of the newest revocations: serve with those it has, or refuse to",
      "serve",
    )
    .option("--dry-run", "check everything, print what would be done, change nothing")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (flags: InitFlags) => {
      const output = createOutput(flags.json === true);
      requireRoot();
      if (flags.dryRun !== true) await beAlone();
      const puppet = await lookForPuppet();
      const kept = await readNodeFile();
      const certname = kept?.id ?? (await certnameOf(puppet));
      const asked = readOptions(flags);
      const address = asked.address ?? kept?.address ?? (await guessOwnAddress(certname));
      const options: InitOptions = { ...asked, address };
      const node = await initNode(certname, options);
      const resumed = kept !== undefined;
      // A CA directory is looked at each time: init keeps the one that is here.
      const wanted = { ...options, resumed, caIsOurs: false };
      const facts = await observeHost(wanted, puppet);
      const checks = decidePreflight("init", facts);
      if (flags.dryRun === true) {
        const steps = describeInit(node.id, options, facts);
        const survey = await lookAtAuthority(facts, output);
        const ca =
          survey === undefined ? [] : ["", ...renderSurvey(facts.caDirectory.path, survey)];
        output.result(
          { checks, steps, ...(survey === undefined ? {} : { ca: survey }) },
          [renderChecks(checks), ...ca, "", ...steps].join("\n"),
        );
        if (!output.json) requirePreflight(checks);
        if (checks.some(({ verdict }) => verdict === "fatal")) process.exitCode = EXIT.failed;
        return;
      }
      const host = await passPreflight(checks, puppet, output);
      const say = (line: string) => output.progress(line);
      await runSteps(initSteps(node, options, host), say, onInterruption(say));
      const token = await callDaemon("POST", "/v1/tokens", {
        body: { role: "server", validMs: TOKEN_MS },
        answer: CreatedToken,
      });
      output.result(
        { id: node.id, sharedName: node.sharedName, toleratedFailures: 0, join: token },
        `\nThis cluster has 1 server and tolerates 0 failures. ${renderJoinHint(token, "one hour")}`,
      );
    });
}

/** What there is to be taken over; undefined where there is no whole CA. */
async function lookAtAuthority(
  { caDirectory }: PreflightFacts,
  output: Output,
): Promise<Survey | undefined> {
  if ("problem" in caDirectory || caDirectory.state === "absent") return undefined;
  output.progress(`reading ${caDirectory.path}: some seconds for each 10,000 certificates`);
  return surveyAuthority(caDirectory.path);
}

const HELP = `
  understudy init --name puppet.example.com --vip 10.0.0.10/24 --dry-run
  understudy init --name puppet.example.com --vip 10.0.0.10/24

What it does: makes the cluster's certificates, starts a shared record (etcd), takes over the Puppet CA that is
here or makes a new one, puts HAProxy on port 8140 and puppetserver behind it. Every file that it edits is kept
beside it as FILE.before-understudy. What is odd in the CA directory (files without a line in the inventory, serials
that stand twice, what expires soon, …) is printed, and kept in full in ${PATHS.takeoverReport};
with --dry-run it is printed too, and is "ca" in its JSON. Interrupted, it is finished by the same command.

Exit code: 0 done, 1 refused or failed.`;

/** Commander's way of collecting an option that is given several times. */
export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** The options' values, each validated. Throws Fault `cli.option`. */
function readOptions(flags: InitFlags): Omit<InitOptions, "address"> & { address?: string } {
  const virtualIps = flags.vip.map((vip) => check(VirtualIp, "--vip", vip));
  const altNames = flags.altName.map((name) => check(AltName, "--alt-name", name));
  const acceptProxyFrom = flags.acceptProxy.map((from) => check(Network, "--accept-proxy", from));
  return {
    sharedName: check(Certname, "--name", flags.name),
    altNames: check(Settings.shape.otherNames, "--alt-name", altNames),
    virtualIps: check(Settings.shape.virtualIps, "--vip", virtualIps),
    acceptProxyFrom: check(Settings.shape.acceptProxyFrom, "--accept-proxy", acceptProxyFrom),
    isolatedEdge: check(Settings.shape.isolatedEdge, "--isolated-edge", flags.isolatedEdge),
    ...(flags.address === undefined
      ? {}
      : { address: check(IpAddress, "--address", flags.address) }),
  };
}
