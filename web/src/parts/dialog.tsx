// A question before something is done, or an answer that is read and closed. The browser's own
// dialog: it keeps the focus, closes by Escape, and gives the focus back.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Failure } from "./failure.tsx";

export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const { title, onClose, children } = props;
  const place = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    place.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={place} aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

/** Asks before `act`; `type`: what has to be typed first. */
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
    <Dialog title={title} onClose={onClose}>
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
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button class="danger" disabled={busy || (type !== undefined && typed !== type)}>
            {busy ? "Working…" : does}
          </button>
        </p>
      </form>
    </Dialog>
  );
}
