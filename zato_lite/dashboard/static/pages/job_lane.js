// The lane of one job: its runs, the slots without one and those that come.

import { place, setQuery } from "../core/router.js";
import { Timeline } from "../timeline/timeline.js";
import { html, useMemo } from "../vendor/vendor.js";

/** @param {{job: Record<string, any>}} props */
export function JobLane({ job }) {
  const query = place.value.query, filter = useMemo(() => ({ ids: [job.id] }), [job.id]);
  return html`<section class="card job-lane" aria-label="Runs and slots"><${Timeline} filter=${filter} title="Runs and slots" span=${query.span ?? "24h"} at=${query.at} hide=${query.hide ?? ""}
    asTable=${query.table === "1"} withNames=${false} zone=${job.timezone} onQuery=${setQuery} /></section>`;
}
