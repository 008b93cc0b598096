// Users, keys and sessions.

import { invoke, request } from "../core/api.js";
import { confirm, Menu, toast } from "../core/dialog.js";
import { denied, deniedSentence, session } from "../core/session.js";
import { Page } from "../core/shell.js";
import { useAction, useService } from "../core/store.js";
import { Time } from "../core/time.js";
import { Button, Card, Empty, ErrorBox, Show } from "../core/ui.js";
import { count, some } from "../core/words.js";
import { isChange } from "../lib/changes.js";
import { html, useEffect, useState } from "../vendor/vendor.js";
import { Rights, UserDialog } from "./people_forms.js";
import { Keys } from "./people_keys.js";

/** @typedef {{name: string, roles: string[], patterns: string[], is_active: boolean}} Credential */

export default function PeoplePage() {
  const reason = denied("zato.security.user.get-list"), on = { on: ["change", "account-changed"], relevant: isChange };
  const users = useService(reason ? "" : "zato.security.user.get-list", {}, on);
  const keys = useService(reason ? "" : "zato.security.key.get-list", {}, on);
  const [form, setForm] = useState(/** @type {{user: Credential | null} | null} */ (null));
  const done = async () => {
    setForm(null);
    await users.reload();
  };
  return html`<${Page} title="Users and keys">
    ${reason ? html`<${Card} title="Users and keys"><p class="pad muted">They cannot be shown. ${deniedSentence("zato.security.user.get-list")} Your own sessions are below.</p><//>` : html`
      <${Card} title="Users" actions=${html`<${Button} small denied=${denied("zato.security.user.create")} onClick=${() => setForm({ user: null })}>New user<//>`}>
        <${Show} of=${users}>${(/** @type {Credential[]} */ rows) => html`<${Users} rows=${rows} onEdit=${(/** @type {Credential} */ user) => setForm({ user })} onDone=${done} />`}<//><//>
      <${Keys} keys=${keys} />`}
    <${Sessions} />
    ${form && html`<${UserDialog} user=${form.user} onClose=${() => setForm(null)} onDone=${done} />`}
  <//>`;
}

/** @param {{rows: Credential[], onEdit: (user: Credential) => void, onDone: () => Promise<void>}} props */
function Users({ rows, onEdit, onDone }) {
  const remove = useAction(async (/** @type {Credential} */ each) => {
    const text = "Their sessions end. Their jobs stay, and run no more until somebody takes them over.";
    if (!(await confirm({ title: `Delete the user ${each.name}?`, text, yes: "Delete", danger: true }))) return;
    await invoke("zato.security.user.delete", { name: each.name });
    toast(`The user ${each.name} is deleted.`);
    await onDone();
  });
  const end = useAction(async (/** @type {Credential} */ each) => {
    const { ended } = await invoke("zato.security.session.delete-all", { user: each.name });
    toast(`${some(ended, "session")} of ${each.name} ended.`);
    await onDone();
  });
  return html`<${ErrorBox} error=${remove.error ?? end.error} /><ul class="people">${rows.map((each) => html`<li key=${each.name}>
    <b class="isolate">${each.name}</b><${Rights} of=${each} />
    <${Menu} small label=${`What to do with ${each.name}`} items=${[
      { words: "Edit …", icon: "edit", denied: denied("zato.security.user.edit"), run: () => onEdit(each) },
      { words: "End all sessions", denied: denied("zato.security.session.delete-all"), run: () => void end.run(each) },
      { words: "Delete …", icon: "trash", danger: true, denied: denied("zato.security.user.delete") || (each.name === "admin.invoke" ? "this user stays" : ""), run: () => void remove.run(each) },
    ]} /></li>`)}</ul>`;
}

function Sessions() {
  const isAdmin = session.value?.roles.includes("admin") ?? false;
  const found = useService("zato.security.session.get-list", isAdmin ? { all: true } : {}, { every: 30, on: ["account-changed"] });
  const end = useAction(async (/** @type {any} */ each) => {
    await invoke("zato.security.session.delete", { id: each.id });
    toast(`The session of ${each.user} has ended.`);
    await found.reload();
  });
  const [own, setOwn] = useState("");
  useEffect(() => { request("GET", "zato/session?all").then(({ data }) => setOwn(data.sessions?.find((/** @type {any} */ each) => each.is_current)?.id ?? ""), () => {}); }, []);
  const reason = denied("zato.security.session.delete");
  return html`<${Card} title=${isAdmin ? "Sessions of all" : "Your sessions"} actions=${found.data && html`<span class="small muted num">${count(found.data.length)}</span>`} stale=${found.isStale}><${ErrorBox} error=${end.error} />
    <${Show} of=${found}>${(/** @type {any[]} */ rows) => rows.length ? html`<ul class="people">${rows.map((each) => html`<li key=${each.id}><b class="isolate">${each.user}</b>
      <span class="muted small">used <${Time} at=${each.used} relative />, since <${Time} at=${each.created} /></span><span class="muted small isolate"><code>${each.remote_address}</code> ${browserOf(each.user_agent)}${each.id === own ? html`, <b>this one</b>` : null}</span>
      <${Button} small denied=${reason} busy=${end.isBusy} onClick=${() => end.run(each)} label=${`End ${each.id === own ? "this session" : `the session of ${each.user}`}`}>End<//></li>`)}</ul>` : html`<${Empty} title="No session.">Whoever signs in on the sign-in page has one.<//>`}<//><//>`;
}

/** @param {string | null} agent */
function browserOf(agent) {
  const name = /(Firefox|Edg|Chrome|Safari)\/(\d+)/.exec(agent ?? "");
  return name ? `${name[1]?.replace("Edg", "Edge")} ${name[2]}` : (agent ?? "").slice(0, 60);
}
