// The frame around every page: who is signed in, where one can go, whether what is shown is new.

import type { ClusterStatus } from "../../src/cluster/status.ts";
import { useEffect, useRef, useState } from "preact/hooks";
import { findSession, session, signOut, stillIn } from "./ask.ts";
import { localTime } from "./format.ts";
import { follow, lookedMs, silent, snapshot, trouble } from "./live.ts";
import { Failure } from "./parts/failure.tsx";
import { SignIn } from "./pages/sign-in.tsx";
import { ROUTES, route } from "./routes.ts";

export function App() {
  const [failure, setFailure] = useState<unknown>(undefined);
  useEffect(() => {
    findSession().catch(setFailure);
  }, []);
  if (failure !== undefined) {
    return (
      <main>
        <h1>Understudy</h1>
        <Failure error={failure} />
        <button type="button" onClick={() => location.reload()}>
          Try again
        </button>
      </main>
    );
  }
  if (session.value === null) return <p class="loading">Understudy</p>;
  return session.value === undefined ? <SignIn /> : <SignedIn />;
}

function SignedIn() {
  useEffect(follow, []);
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  const { title, page: Page, path } = route.value;
  useEffect(() => {
    document.title = `${title} - Understudy`;
    // Whoever can't see that the page is another one is taken to where it begins.
    if (!first.current) heading.current?.focus();
    first.current = false;
  }, [path, title]);
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to content
      </a>
      <Header />
      <Standing />
      <main id="main">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        <Page key={path} />
      </main>
    </>
  );
}

function skip(event: Event): void {
  // The part after the # is the page.
  event.preventDefault();
  document.querySelector<HTMLElement>("#main h1")?.focus();
}

function Header() {
  const who = session.value;
  const name = snapshot.value?.status.settings.sharedName ?? "";
  return (
    <header>
      <p class="brand">
        Understudy <span>{name}</span>
      </p>
      <nav aria-label="Pages">
        <ul>
          {ROUTES.map(({ path, title }) => (
            <li key={path}>
              <a href={`#${path}`} aria-current={route.value.path === path ? "page" : undefined}>
                {title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <p class="who">
        {who?.name} ({who?.role}){" "}
        <button type="button" onClick={() => void signOut()}>
          Sign out
        </button>
      </p>
      <Failure error={stillIn.value} />
    </header>
  );
}

/** The verdict where every page has it, told to screen readers when it changes. */
function Standing() {
  const { mark, kind, text } = standingOf();
  return (
    <p role="status" class={`standing ${kind}`}>
      <span aria-hidden="true">{mark}</span> {text}
    </p>
  );
}

function standingOf() {
  const fromMs = lookedMs.value;
  const from = fromMs === undefined ? "" : ` What is shown is from ${localTime(fromMs)}.`;
  if (silent.value) return { mark: "?", kind: "bad", text: `This member says nothing.${from}` };
  const why = trouble.value?.message;
  if (why !== undefined)
    return { mark: "?", kind: "bad", text: `Nothing is known: ${why}.${from}` };
  const look = snapshot.value;
  return look === undefined ? { mark: "…", kind: "idle", text: "Looking" } : verdictOf(look.status);
}

function verdictOf({ verdict, problems }: Pick<ClusterStatus, "verdict" | "problems">) {
  if (problems.length === 0) return { mark: "✓", kind: "good", text: verdict };
  const isBad = problems.some(({ severity }) => severity === "critical");
  return { mark: "!", kind: isBad ? "bad" : "warn", text: verdict };
}
