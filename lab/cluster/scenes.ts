// Tests of one file on a cluster that they share, one after the other.

import { test } from "node:test";
import type { Cluster } from "../cluster.ts";
import { explainFailure } from "./journals.ts";

/** Makes tests whose failure comes with what the servers said. */
export function scenesOn(cluster: () => Cluster) {
  return (title: string, body: () => Promise<void>): void => {
    test(title, async () => {
      try {
        await body();
      } catch (error) {
        throw await explainFailure(error, cluster().servers);
      }
    });
  };
}
