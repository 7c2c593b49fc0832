// Who this member is, kept in /etc/understudy/node.json. There is no such file before init or join.

import { Fault, messageOf } from "../base/fault.ts";
import { createFileAtomic, makeFolder, readIfThere, writeFileAtomic } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import { dirname } from "node:path";
import { NodeFile } from "./schema.ts";

/**
 * The node file, or undefined where neither init nor join ran. Throws Fault `cluster.node-file`.
 */
export async function readNodeFile(path: string = PATHS.nodeFile): Promise<NodeFile | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return NodeFile.parse(JSON.parse(text));
  } catch (error) {
    throw new Fault(
      "cluster.node-file",
      `${path} can't be read as a node file: ${messageOf(error)}`,
      {
        hints: ["It is written by init and join only. Restore it from a backup of this server."],
        cause: error,
      },
    );
  }
}

/** The node file of a member. Throws Fault `cluster.not-a-member` where there is none. */
export async function requireNodeFile(path: string = PATHS.nodeFile): Promise<NodeFile> {
  const node = await readNodeFile(path);
  if (node !== undefined) return node;
  throw new Fault("cluster.not-a-member", "this server belongs to no cluster", {
    hints: [
      "First server of a new cluster:  understudy init --name NAME [--vip ADDRESS/PREFIX]",
      "Further server:                 understudy join https://SERVER:9140 --token-file FILE",
    ],
  });
}

export async function writeNodeFile(node: NodeFile, path: string = PATHS.nodeFile): Promise<void> {
  await makeFolder(dirname(path));
  await writeFileAtomic(path, render(node));
}

/**
 * Writes the node file of a setup, where there is none yet or one of the same cluster. Throws Fault
 * `setup.already-member` where another setup was first: two would leave one's name on the other's.
 */
export async function claimNodeFile(node: NodeFile, path: string = PATHS.nodeFile): Promise<void> {
  await makeFolder(dirname(path));
  const made = await createFileAtomic(path, render(node)).then(
    () => true,
    (error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
      throw error;
    },
  );
  if (made) return;
  const { clusterId } = await requireNodeFile(path);
  if (clusterId === node.clusterId) return writeNodeFile(node, path);
  throw new Fault(
    "setup.already-member",
    "another init or join was begun here at the same moment",
    {
      hints: ["Let that one end; the same command goes on where it left off."],
    },
  );
}

function render(node: NodeFile): string {
  return `${JSON.stringify(node, null, 2)}\n`;
}
