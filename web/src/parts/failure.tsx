// What went wrong, where it was asked for.

import { wordsOf } from "../ask.ts";

export function Failure({ error }: { error: unknown }) {
  if (error === undefined) return null;
  const { text, hints } = wordsOf(error);
  return (
    <div role="alert" class="failure">
      <p>{text}</p>
      {hints.map((hint) => (
        <p key={hint}>{hint}</p>
      ))}
    </div>
  );
}
