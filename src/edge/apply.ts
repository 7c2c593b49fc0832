// Puts an edge's files in place. The idea: HAProxy's configuration names two lists that live longer than
// it does, revoked certificates and poisonous catalogs; without those files it would not start.

import { makeFolder, writeFileAtomic, exists, writeIfChanged } from "../host/files.ts";
import { type EdgeConfig, edgePaths } from "./config.ts";
import { renderEdge } from "./render.ts";

/** Writes what `config` determines and makes the lists where they are missing. Returns what changed. */
export async function writeEdgeFiles(config: EdgeConfig): Promise<string[]> {
  const paths = edgePaths(config);
  const files = renderEdge(config);
  await makeFolder(config.stateDir);
  for (const list of [paths.revoked, paths.poison]) {
    if (!(await exists(list))) await writeFileAtomic(list, "");
  }
  const changed: string[] = [];
  if (await writeIfChanged(paths.lua, files.waitLua)) changed.push(paths.lua);
  if (await writeIfChanged(paths.config, files.haproxyCfg)) changed.push(paths.config);
  return changed;
}
