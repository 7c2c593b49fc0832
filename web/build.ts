// Builds the dashboard with Vite: one page, one script, one style sheet, with a hash in their
// names. What comes out is served by src/api/dashboard.ts.

import { join } from "node:path";
import { build, type InlineConfig } from "vite";
import { renderFault } from "../src/base/fault.ts";

const HERE = import.meta.dirname;
export const DASHBOARD_FOLDER = join(HERE, "..", "dist", "dashboard");

/** Builds into `folder`, in place of what is there. Returns the npm packages that are in it. */
export async function buildDashboard(folder = DASHBOARD_FOLDER): Promise<string[]> {
  const built = await build(configOf(folder));
  const outputs = Array.isArray(built) ? built : "output" in built ? [built] : [];
  const modules = outputs.flatMap(({ output }) =>
    output.flatMap((part) => (part.type === "chunk" ? part.moduleIds : [])),
  );
  const names = modules.flatMap((id) => {
    const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1];
    return name === undefined ? [] : [name];
  });
  return [...new Set(names)].toSorted();
}

function configOf(folder: string): InlineConfig {
  return {
    root: HERE,
    configFile: false,
    logLevel: "warn",
    // Nothing of the machine that builds it gets in.
    envDir: false,
    cacheDir: join(HERE, "..", ".cache", "vite"),
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: "es2022",
      // The policy lets no data: script run, and nothing inline.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  };
}

if (import.meta.main) {
  try {
    await buildDashboard();
  } catch (error) {
    console.error(renderFault(error));
    process.exitCode = 1;
  }
}
