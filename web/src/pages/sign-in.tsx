// Signing in with an access token. It goes into one request and is forgotten.

import { useEffect, useRef, useState } from "preact/hooks";
import { ended, signIn, unanswered } from "../ask.ts";
import { Failure } from "../parts/failure.tsx";

export function SignIn() {
  const field = useRef<HTMLInputElement>(null);
  const [failure, setFailure] = useState<unknown>(undefined);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = "Sign in - Understudy";
    field.current?.focus();
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setFailure(undefined);
    try {
      await signIn(field.current?.value.trim() ?? "");
    } catch (error) {
      setFailure(error);
      field.current?.select();
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <h1>Understudy</h1>
      {ended.value ? (
        <p id="ended">
          The session has ended: in another tab, by time, with its token, or with this member's
          daemon, which may have started anew. Sign in again.
        </p>
      ) : null}
      <Failure error={unanswered.value} />
      <form onSubmit={(event) => void submit(event)}>
        <label for="token">Access token</label>
        <input
          id="token"
          ref={field}
          type="password"
          autocomplete="current-password"
          spellcheck={false}
          aria-describedby={ended.value ? "ended" : undefined}
          required
        />
        <button disabled={busy}>{busy ? "Signing in…" : "Sign in"}</button>
        <Failure error={failure} />
      </form>
      <p>
        Root makes one on a server: <code>understudy access create NAME --role viewer</code>
      </p>
    </main>
  );
}
