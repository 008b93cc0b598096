// Who did what to a job.

import { Card, Empty } from "../core/ui.js";
import { html } from "../vendor/vendor.js";
import { AuditList } from "./audit_list.js";

/** @param {{job: Record<string, any>}} props */
export function JobAudit({ job }) {
  return html`<${Card} title="Who did what"><${AuditList} service="zato.scheduler.job.get-audit" input=${{ id: job.id }} isOfJob empty=${html`<${Empty} title="Nothing is recorded.">The audit log has no row about this job.<//>`} /><//>`;
}
