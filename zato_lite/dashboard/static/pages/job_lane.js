// The lane of one job: its runs, the slots without one and those that come.

import { serverNow } from "../core/api.js";
import { place, setQuery } from "../core/router.js";
import { instant } from "../core/time.js";
import { Timeline } from "../timeline/timeline.js";
import { html, useMemo } from "../vendor/vendor.js";

const HALF_A_DAY = 12 * 3_600_000;

/** @param {{job: Record<string, any>}} props */
export function JobLane({ job }) {
  const isRare = useMemo(() => (instant(job.next_iso) ?? 0) - serverNow() > HALF_A_DAY, [job.id]);
  const query = place.value.query, filter = useMemo(() => ({ ids: [job.id] }), [job.id]);
  return html`<section class="card job-lane" aria-label="Runs and slots"><${Timeline} filter=${filter} title="Runs and slots" span=${query.span ?? (isRare ? "7d" : "24h")} at=${query.at} hide=${query.hide ?? ""}
    asTable=${query.table === "1"} withNames=${false} zone=${job.timezone} onQuery=${setQuery} /></section>`;
}
