// Something that a page asks once, and again when it is told to.

import { useEffect, useState } from "preact/hooks";
import { ask } from "../ask.ts";

export interface Asked<T> {
  answer: T | undefined;
  failure: unknown;
  busy: boolean;
  again: () => void;
}

/** The answer to GET `path`; undefined asks nothing. An older answer never replaces a newer one. */
export function useAsked<T>(path: string | undefined): Asked<T> {
  const [answer, setAnswer] = useState<T | undefined>(undefined);
  const [failure, setFailure] = useState<unknown>(undefined);
  const [busy, setBusy] = useState(false);
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (path === undefined) return;
    let wanted = true;
    setBusy(true);
    ask<T>("GET", path)
      .then(
        (said) => {
          if (!wanted) return;
          setAnswer(said);
          setFailure(undefined);
        },
        (error: unknown) => wanted && setFailure(error),
      )
      .finally(() => wanted && setBusy(false));
    return () => {
      wanted = false;
    };
  }, [path, round]);
  return { answer, failure, busy, again: () => setRound((before) => before + 1) };
}
