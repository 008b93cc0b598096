// API keys: what each is for, who to ask, how long it is valid, and its secret, which is seen once.

import { invoke } from "../core/api.js";
import { confirm, Dialog, Menu, toast } from "../core/dialog.js";
import { denied } from "../core/session.js";
import { OutcomeMark } from "../core/shapes.js";
import { useAction } from "../core/store.js";
import { instant, now, Time } from "../core/time.js";
import { Button, Card, CopyButton, ErrorBox, Show } from "../core/ui.js";
import { ChoiceField, messagesOf, TextField } from "../lib/field.js";
import { html, useState } from "../vendor/vendor.js";
import { inputOf, Rights, RightsFields, rightsOf } from "./people_forms.js";

/**
 * @typedef {import("./people.js").Credential & {prefix: string, owner: string, created: string | null, expires: string | null,
 *   used: string | null, old_secret_until: string | null}} Key
 */
/** @typedef {{name: string, prefix: string, key: string, old_secret_until?: string | null}} Made */

const SOON_MS = 14 * 86_400_000;

/** Days of validity and their words. @type {[string, string][]} */
const ENDS = [["30", "in 30 days"], ["90", "in 90 days"], ["365", "in a year"], ["0", "never"]];

/** Hours of grace and their words. @type {[string, string][]} */
const GRACES = [["0", "ends now"], ["1", "is valid for an hour"], ["24", "is valid for a day"], ["168", "is valid for a week"]];

/** @param {{keys: any}} props the list as useService returns it */
export function Keys({ keys }) {
  const [form, setForm] = useState(/** @type {{key: Key | null} | null} */ (null));
  const [rotated, setRotated] = useState(/** @type {Key | null} */ (null));
  const done = async () => {
    setForm(null);
    setRotated(null);
    await keys.reload();
  };
  const remove = useAction(async (/** @type {Key} */ each) => {
    const text = "Programs that use it are refused within three seconds. Its jobs stay, and run no more until somebody takes them over.";
    if (!(await confirm({ title: `Revoke the key ${each.name}?`, text, yes: "Revoke", danger: true }))) return;
    await invoke("zato.security.key.delete", { name: each.prefix });
    toast(`The key ${each.name} is revoked.`);
    await done();
  });
  return html`<${Card} title="API keys" actions=${html`<${Button} small denied=${denied("zato.security.key.create")} onClick=${() => setForm({ key: null })}>New key<//>`}>
    <${ErrorBox} error=${remove.error} />
    <${Show} of=${keys}>${(/** @type {Key[]} */ rows) => rows.length ? html`<ul class="people">${rows.map((each) => html`<li key=${each.prefix}>
      <${Who} of=${each} /><${Rights} of=${each} />
      <${Menu} small label=${`What to do with ${each.name}`} items=${[
        { words: "Edit …", icon: "edit", denied: denied("zato.security.key.edit"), run: () => setForm({ key: each }) },
        { words: "Rotate …", denied: denied("zato.security.key.rotate"), run: () => setRotated(each) },
        { words: "Revoke …", icon: "trash", danger: true, denied: denied("zato.security.key.delete"), run: () => void remove.run(each) },
      ]} />
      <${Life} of=${each} /></li>`)}</ul>` : html`<p class="pad muted">There is no key. A program needs one to invoke services without a user's password.</p>`}<//>
    ${form && html`<${KeyDialog} of=${form.key} onClose=${() => setForm(null)} onDone=${done} />`}
    ${rotated && html`<${RotateDialog} of=${rotated} onClose=${() => setRotated(null)} onDone=${done} />`}<//>`;
}

/** @param {{of: Key}} props */
function Who({ of }) {
  return html`<div><b class="isolate">${of.name}</b>${of.name !== of.prefix && html` <code class="muted small">${of.prefix}</code>`}${
    of.owner && html`<br /><span class="muted small">of <bdi>${of.owner}</bdi></span>`}</div>`;
}

/** The times of a key in a line of their own. @param {{of: Key}} props */
function Life({ of }) {
  const expires = instant(of.expires), left = expires === null ? Infinity : expires - now.value;
  return html`<span class="wide muted small">${
    left <= 0 ? html`<${OutcomeMark} o="error" words="expired" /> <${Time} at=${of.expires} />`
      : expires === null ? "never expires"
        : left < SOON_MS ? html`<${OutcomeMark} o="late" words=${html`expires soon: <${Time} at=${of.expires} relative />`} />`
          : html`expires <${Time} at=${of.expires} relative />`}, ${
    of.used ? html`used <${Time} at=${of.used} relative />` : "not used yet"}${
    of.created && html`, made <${Time} at=${of.created} />`}${
    of.old_secret_until && html`; the old secret ends <${Time} at=${of.old_secret_until} relative />`}</span>`;
}

/** @param {{of: Key | null, onClose: () => void, onDone: () => Promise<void>}} props */
function KeyDialog({ of, onClose, onDone }) {
  const [name, setName] = useState(of && of.name !== of.prefix ? of.name : ""), [owner, setOwner] = useState(of?.owner ?? "");
  const [days, setDays] = useState(of ? "" : "365"), [rights, setRights] = useState(() => rightsOf(of, "operator"));
  const [made, setMade] = useState(/** @type {Made | null} */ (null));
  const save = useAction(async () => {
    const input = { ...inputOf(rights), owner, ...(days && { days: Number(days) }) };
    if (!of) return setMade(await invoke("zato.security.key.create", { ...input, name }));
    await invoke("zato.security.key.edit", { ...input, name: of.prefix, new_name: name });
    toast(`The key ${name || of.name} is saved.`);
    await onDone();
  });
  const errors = messagesOf(save.error);
  if (made) return html`<${Secret} of=${made} onDone=${onDone} />`;
  const verb = of ? "Save" : "Make the key", none = of ? "; none, if it is empty" : "";
  return html`<${Dialog} title=${of ? html`Edit <bdi>${of.name}</bdi>` : "New key"} onClose=${onClose} onSubmit=${save.run} actions=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} kind="primary" type="submit" busy=${save.isBusy} onClick=${save.run}>${verb}<//>`}>
    <${TextField} id="key-name" label="Name" value=${name} onInput=${setName} error=${errors["name"] ?? errors["new_name"]} hint=${`Which program it is for${none}`} autofocus />
    <${TextField} id="key-owner" label="Owner" value=${owner} onInput=${setOwner} error=${errors["owner"]} hint=${`The user or team to ask${none || "; you, if it is empty"}`} />
    <${ChoiceField} id="key-days" label="Expires" value=${days} options=${of ? [["", "as it is"], ...ENDS] : ENDS} error=${errors["days"]} onInput=${setDays} />
    <${RightsFields} value=${rights} onInput=${setRights} errors=${errors} /><${ErrorBox} error=${Object.keys(errors).length ? null : save.error} /><//>`;
}

/** @param {{of: Key, onClose: () => void, onDone: () => Promise<void>}} props */
function RotateDialog({ of, onClose, onDone }) {
  const [hours, setHours] = useState("24"), [made, setMade] = useState(/** @type {Made | null} */ (null));
  const rotate = useAction(async () => setMade(await invoke("zato.security.key.rotate", { name: of.prefix, grace_hours: Number(hours) })));
  if (made) return html`<${Secret} of=${made} onDone=${onDone} />`;
  return html`<${Dialog} title=${html`Rotate <bdi>${of.name}</bdi>`} onClose=${onClose} onSubmit=${rotate.run} actions=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} kind="primary" type="submit" busy=${rotate.isBusy} onClick=${rotate.run}>Rotate<//>`}>
    <p>The key gets a new secret. Name, rights and prefix stay.</p>
    <${ChoiceField} id="key-grace" label="The old secret" value=${hours} options=${GRACES} onInput=${setHours} />
    ${of.old_secret_until && html`<p class="muted small">The old secret of the rotation before is still valid; it ends now.</p>`}
    <${ErrorBox} error=${rotate.error} /><//>`;
}

/** @param {{of: Made, onDone: () => Promise<void>}} props */
function Secret({ of, onDone }) {
  return html`<${Dialog} title="The new key" onClose=${onDone} mayClose=${false} actions=${html`<${Button} kind="primary" onClick=${onDone}>I have saved it<//>`}>
    <p>It is shown only now: save it where the program finds it.</p>
    <div class="row secret"><code class="isolate grow">${of.key}</code><${CopyButton} text=${of.key} label="Copy the key">Copy<//></div>
    <p class="muted small">Send it as <code>X-API-Key</code> or as a bearer token. ${of.name === of.prefix
      ? html`The list shows its prefix, ${of.prefix}.` : html`The list shows its name and its prefix, ${of.prefix}.`}</p>
    ${of.old_secret_until && html`<p>The old secret ends <${Time} at=${of.old_secret_until} />.</p>`}<//>`;
}
