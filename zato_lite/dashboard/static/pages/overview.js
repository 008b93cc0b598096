// Overview.
import { html } from "../vendor/vendor.js";
import { Page } from "../core/shell.js";

export default function Overview() {
  return html`<${Page} title="Overview"><//>`;
}
