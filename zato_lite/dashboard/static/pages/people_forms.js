// The rights of users and keys, and the dialog that makes and changes users.

import { invoke } from "../core/api.js";
import { Dialog, toast } from "../core/dialog.js";
import { OutcomeMark } from "../core/shapes.js";
import { useAction } from "../core/store.js";
import { Button, ErrorBox } from "../core/ui.js";
import { ChoiceField, messagesOf, TextField } from "../lib/field.js";
import { html, useState } from "../vendor/vendor.js";

/** @typedef {import("./people.js").Credential} Credential */
/** @typedef {{role: string, patterns: string, isActive: boolean}} Rights */

/** Roles and what each may. @type {[string, string][]} */
const ROLES = [["viewer", "viewer: sees everything"], ["operator", "operator: also runs, pauses, invokes"], ["editor", "editor: also makes and changes jobs"], ["admin", "admin: everything"]];

/** The highest role. @param {Credential | null} credential */
function roleOf(credential) {
  return ROLES.map(([name]) => name).findLast((name) => credential?.roles.includes(name));
}

/**
 * The role of a user or a key, and the services it may invoke.
 *
 * @param {{of: Credential}} props
 */
export function Rights({ of }) {
  return html`<span>${roleOf(of) ?? "no role"}${of.is_active ? "" : html` <${OutcomeMark} o="paused" words="inactive" />`}</span>
    <span class="muted small">${of.patterns.length ? html`only ${of.patterns.map((pattern) => html`<code key=${pattern} class="isolate">${pattern}</code> `)}` : "all services"}</span>`;
}

/** @param {{user: Credential | null, onClose: () => void, onDone: () => Promise<void>}} props */
export function UserDialog({ user, onClose, onDone }) {
  const [name, setName] = useState(user?.name ?? ""), [password, setPassword] = useState("");
  const [rights, setRights] = useState(() => rightsOf(user, "viewer"));
  const save = useAction(async () => {
    await invoke(`zato.security.user.${user ? "edit" : "create"}`, { name, ...inputOf(rights), ...(password && { password }) });
    toast(`The user ${name} is saved.`);
    await onDone();
  });
  const errors = messagesOf(save.error);
  return html`<${Dialog} title=${user ? html`Edit <bdi>${user.name}</bdi>` : "New user"} onClose=${onClose} onSubmit=${save.run} actions=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} kind="primary" type="submit" busy=${save.isBusy} onClick=${save.run}>Save<//>`}>
    ${!user && html`<${TextField} id="user-name" label="Name" value=${name} onInput=${setName} error=${errors["name"]} autocomplete="off" autofocus />`}
    <${TextField} id="user-password" label=${user ? "New password" : "Password"} type="password" value=${password} onInput=${setPassword} error=${errors["password"]} hint=${user ? "Leave it empty to keep it; a new one ends all sessions" : "At least 12 characters are a good start"} autocomplete="new-password" />
    <${RightsFields} value=${rights} onInput=${setRights} errors=${errors} />
    <${ErrorBox} error=${Object.keys(errors).length ? null : save.error} /><//>`;
}

/** @param {{value: Rights, onInput: (value: Rights) => void, errors: Record<string, string>}} props */
export function RightsFields({ value, onInput, errors }) {
  const change = (/** @type {Partial<Rights>} */ part) => onInput({ ...value, ...part });
  return html`<${ChoiceField} id="rights-role" label="Role" value=${value.role} options=${ROLES} error=${errors["roles"]} onInput=${(/** @type {string} */ role) => change({ role })} />
    <${TextField} id="rights-patterns" label="Only services" value=${value.patterns} error=${errors["patterns"]} hint="Patterns such as billing.*, separated by commas; empty for all" onInput=${(/** @type {string} */ patterns) => change({ patterns })} />
    <label class="check"><input type="checkbox" checked=${value.isActive} onChange=${(/** @type {any} */ event) => change({ isActive: event.target.checked })} /> Active</label>`;
}

/**
 * @param {Credential | null} credential
 * @param {string} fallback
 * @returns {Rights}
 */
export function rightsOf(credential, fallback) {
  const role = roleOf(credential) ?? fallback;
  return { role, patterns: (credential?.patterns ?? []).join(", "), isActive: credential?.is_active ?? true };
}

/** @param {Rights} rights */
export function inputOf({ role, patterns, isActive }) {
  return { roles: [role], patterns: patterns.split(",").map((each) => each.trim()).filter(Boolean), is_active: isActive };
}
