// The version of this software, from the package.json that lies beside the code in tree and
// package.

import { readFileSync } from "node:fs";

const file = new URL("../package.json", import.meta.url);
const manifest = JSON.parse(readFileSync(file, "utf8")) as { version: string };

export const VERSION: string = manifest.version;
