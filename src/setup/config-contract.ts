// What is asked and answered of the cluster's settings, in the shapes of the local API.

import { z } from "zod";
import { Settings } from "../cluster/schema.ts";

/** The settings as they are, or were, with the revision at which they were written. */
export const ConfigShown = z.object({
  /** 0: not known. */
  revision: z.int(),
  settings: Settings,
  /** Why these are only what this member has last read; empty: they are as they are. */
  because: z.string().default(""),
});
export type ConfigShown = z.infer<typeof ConfigShown>;

/** The same with what each setting is that people may change. */
export const ConfigDescribed = ConfigShown.extend({
  known: z.array(
    z.object({
      key: z.string(),
      what: z.string(),
      /** How it is typed in a command. */
      form: z.string(),
      /** In words. */
      value: z.string(),
    }),
  ),
});
export type ConfigDescribed = z.infer<typeof ConfigDescribed>;

const SettingChanges = z.array(z.object({ key: z.string(), from: z.string(), to: z.string() }));

/** Former settings, oldest first, and what the change after each was. */
export const ConfigFormer = z.object({
  former: z.array(z.object({ revision: z.int(), until: z.string(), changes: SettingChanges })),
});
export type ConfigFormer = z.infer<typeof ConfigFormer>;

/** All settings that people may change, as they are to be. */
export const ConfigChange = z.object({
  /** That they were when this was decided. */
  revision: z.int(),
  settings: z.record(z.string().max(100), z.unknown()),
});
export type ConfigChange = z.infer<typeof ConfigChange>;

export const ConfigChanged = z.object({ revision: z.int(), changes: SettingChanges });
export type ConfigChanged = z.infer<typeof ConfigChanged>;
