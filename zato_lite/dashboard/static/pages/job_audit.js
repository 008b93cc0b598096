// Who did what to a job.

import { denied, deniedSentence } from "../core/session.js";
import { Card, Empty } from "../core/ui.js";
import { html } from "../vendor/vendor.js";
import { AuditList } from "./audit_list.js";

const SERVICE = "zato.scheduler.job.get-audit";

/** @param {{job: Record<string, any>}} props */
export function JobAudit({ job }) {
  const reason = denied(SERVICE);
  if (reason) return html`<div class="card"><${Empty} title="What was done cannot be shown.">${deniedSentence(SERVICE)}<//></div>`;
  return html`<${Card} title="Who did what"><${AuditList} service=${SERVICE} input=${{ id: job.id }} isOfJob empty=${html`<${Empty} title="Nothing is recorded.">The audit log has no row about this job.<//>`} /><//>`;
}
