// A question before something is done, or an answer that is read and closed. The browser's own
// dialog: it keeps the focus, closes by Escape, and gives the focus back.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Failure } from "./failure.tsx";

export function Dialog(props: {
  title: string;
  /** Whether it can't be closed now. */
  stays?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const { title, stays = false, onClose, children } = props;
  const place = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    place.current?.showModal();
    return () => {
      // This comes after the painting: the page may have put it where there is news by then.
      const isTaken = document.activeElement !== document.body;
      if (before instanceof HTMLElement && !isTaken) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={place}
      aria-labelledby={id}
      onCancel={(event) => stays && event.preventDefault()}
      // A browser lets Escape be held back once.
      onClose={() => (stays ? place.current?.showModal() : onClose())}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

/**
 * Asks before `act`; `type`: what has to be typed first. It stays until that is done or has failed:
 * closing it would stop nothing, and how it came out would be told to nobody.
 */
export function Confirm(props: {
  title: string;
  /** What the button that does it says. */
  does: string;
  type?: string;
  act: () => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const { title, does, type, act, onClose, children } = props;
  const [typed, setTyped] = useState("");
  const [failure, setFailure] = useState<unknown>(undefined);
  const [busy, setBusy] = useState(false);
  const id = useId();
  const run = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setFailure(undefined);
    try {
      await act();
      onClose();
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} stays={busy} onClose={onClose}>
      <form onSubmit={(event) => void run(event)}>
        {children}
        {type === undefined ? null : (
          <p>
            <label for={id}>
              Type <code>{type}</code> to confirm
            </label>
            <input
              id={id}
              value={typed}
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              onInput={({ currentTarget }) => setTyped(currentTarget.value)}
            />
          </p>
        )}
        <Failure error={failure} />
        <p class="buttons">
          <button type="button" disabled={busy} onClick={onClose}>
            Cancel
          </button>
          {/* It keeps the focus while it works: who can't see it hears what came of it. */}
          <button
            class="danger"
            aria-disabled={busy}
            disabled={type !== undefined && typed !== type}
          >
            {busy ? "Working…" : does}
          </button>
        </p>
      </form>
    </Dialog>
  );
}
