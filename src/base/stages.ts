// How long each part of something took, for who asks afterwards.

/** One part, and its milliseconds. */
export interface Stage {
  what: string;
  ms: number;
}

export interface Stages {
  /** The part that began with the end of the one before is over. */
  end(what: string): void;
  list(): Stage[];
}

export function startStages(monotonicMs: () => number): Stages {
  const stages: Stage[] = [];
  let sinceMs = monotonicMs();
  return {
    end(what) {
      const nowMs = monotonicMs();
      stages.push({ what, ms: Math.round(nowMs - sinceMs) });
      sinceMs = nowMs;
    },
    list: () => stages,
  };
}
