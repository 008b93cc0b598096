// Sign-in: a page of its own, and a dialog over the page when a session has ended.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/vendor.js";
import { signInNeeded } from "./api.js";
import { Dialog } from "./dialog.js";
import { refresh } from "./live.js";
import { session, sessionTrouble, signIn, loadSession } from "./session.js";
import { forget, useAction } from "./store.js";
import { Button, ErrorBox } from "./ui.js";

/** @param {{onDone: () => void, name?: string}} props */
function SignInForm({ onDone, name = "" }) {
  const [username, setUsername] = useState(name), [password, setPassword] = useState(""), [missing, setMissing] = useState("");
  const first = useRef(/** @type {HTMLInputElement | null} */ (null));
  useLayoutEffect(() => first.current?.focus(), []);
  const action = useAction(async () => {
    if (!username || !password) return setMissing(username ? "Enter the password." : "Enter the name of a user.");
    setMissing("");
    const before = session.value?.name ?? name;
    await signIn(username, password);
    if (before !== username) forget();
    onDone();
  });
  const submit = (/** @type {Event} */ event) => { event.preventDefault(); void action.run(); };
  const wrong = action.error?.status === 401 ? "The name or the password is wrong." : "";
  return html`<form class="sign-in" novalidate onSubmit=${submit}>
    <div class="field"><label for="username">Name</label><input ref=${first} id="username" name="username" autocomplete="username" autocapitalize="none" spellcheck="false" value=${username} onInput=${(/** @type {any} */ e) => setUsername(e.target.value)} /></div>
    <div class="field"><label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" autofocus=${name !== ""} value=${password} onInput=${(/** @type {any} */ e) => setPassword(e.target.value)} aria-describedby="sign-in-error" /></div>
    <div id="sign-in-error">${wrong || missing ? html`<p class="field-error" role="alert">${wrong || missing}</p>` : html`<${ErrorBox} error=${action.error} />`}</div>
    <${Button} kind="primary" type="submit" busy=${action.isBusy} cls="wide">Sign in<//></form>`;
}

export function SignInPage() {
  useEffect(() => { document.title = "Sign in · zato-lite"; }, []);
  return html`<main class="sign-in-page" id="content"><section class="card"><svg class="logo" viewBox="0 0 24 24" aria-hidden="true"><rect width="24" height="24" rx="6.500" fill="var(--accent)" /><path d="M6 8h7.500M8.500 12h9.500M6 16h6" stroke="var(--on-accent)" stroke-width="2.300" stroke-linecap="round" /></svg>
    <h1 tabindex="-1">Sign in to zato-lite</h1><p class="muted">on ${location.host}</p><${SignInForm} onDone=${() => {}} />
    <p class="small muted">First start? The server has printed a link to set the password, or the file <code>data/admin-password</code> has it.</p></section></main>`;
}

/** The dialog over the page: what was being done goes on after it. */
export function SignInAgain() {
  if (signInNeeded.value === null || !session.value) return null;
  return html`<${Dialog} title="Your session has ended" onClose=${() => {}} mayClose=${false}><p class="muted">Sign in to go on; nothing on the page is lost.</p><${SignInForm} name=${session.value.name} onDone=${refresh} /><//>`;
}

export function NoServer() {
  return html`<main class="sign-in-page" id="content"><section class="card"><h1>The server does not answer</h1><p>${sessionTrouble.value}</p><${Button} icon="reload" onClick=${loadSession}>Try again<//></section></main>`;
}
