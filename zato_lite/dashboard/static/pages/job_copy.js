// A job as a command, an HTTP request or Python.

import { ROOT } from "../core/base.js";
import { Dialog } from "../core/dialog.js";
import { session } from "../core/session.js";
import { useService } from "../core/store.js";
import { Button, CopyAs, Show } from "../core/ui.js";
import { copyAs, LANGUAGES } from "../lib/copy_as.js";
import { definitionOf, formOf } from "../lib/definition.js";
import { html } from "../vendor/vendor.js";

/**
 * Return an invocation in all languages.
 *
 * @param {string} service
 * @param {unknown} payload
 * @returns {[string, string][]}
 */
export function formsOf(service, payload) {
  const server = { url: ROOT.href.replace(/\/$/, ""), user: session.value?.name ?? "" };
  return LANGUAGES.map((language) => [language, copyAs(language, service, payload, server)]);
}

/** @param {{job: Record<string, any>, onClose: () => void}} props */
export function CopyDialog({ job, onClose }) {
  const whole = useService("zato.scheduler.job.get-by-id", { id: job.id });
  return html`<${Dialog} title=${html`Copy <bdi>${job.name}</bdi>`} wide onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>Close<//>`}>
    <${Show} of=${whole}>${(/** @type {any} */ found) => html`
      <${CopyAs} title="Create it" forms=${formsOf("zato.scheduler.job.create", definitionOf(formOf(found)))} />
      <${CopyAs} title="Run it now" forms=${formsOf("zato.scheduler.job.execute", { id: job.id })} />`}<//><//>`;
}
