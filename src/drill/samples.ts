// What is measured during a drill: one attempt each, and what servers say of themselves. Times are
// of the driver's clock alone.

/** One attempt of a synthetic agent, in milliseconds since the epoch. */
export interface Sample {
  startMs: number;
  endMs: number;
  ok: boolean;
  /** Why it failed; empty when it didn't. */
  because: string;
  /** Which connection it came by: this side's port. */
  port?: number;
  /** The answer says that the connection ends with it, as HAProxy's do after a reload. */
  isLast?: boolean;
}

/** Something of the cluster changed, as servers said when they were asked. */
export interface Sighting {
  atMs: number;
  what: string;
}

/** All that was measured. */
export interface Samples {
  /** New TCP connections. */
  connects: readonly Sample[];
  /** Catalogs, each by a new connection. */
  catalogs: readonly Sample[];
  /** Catalogs by one connection that is kept; a new one is made where it broke. */
  kept: readonly Sample[];
  sightings: readonly Sighting[];
  /** Requests that edges sent on to another puppetserver meanwhile. */
  replays: number;
}
