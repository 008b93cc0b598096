// The list without a job: how to make the first one.

import { pageUrl } from "../core/base.js";
import { confines, denied } from "../core/session.js";
import { Button, CopyAs, Empty } from "../core/ui.js";
import { html } from "../vendor/vendor.js";

const CLI = `zato-lite invoke zato.scheduler.job.create \\
  '{"name": "hello", "service": "hello.hello", "job_type": "interval_based", "minutes": 1}'`;
const PYTHON = `from zato_lite import Service, every


class Hello(Service):
    schedule = every(minutes=1)

    async def handle(self): ...`;

export function FirstJob() {
  if (confines()) return html`<${Empty} title="No job that you may see."><p>Your access is confined to <code>${confines()}</code>.</p><//>`;
  return html`<${Empty} title="Nothing is scheduled yet." actions=${html`<${Button} kind="primary" href=${pageUrl("/jobs/new")} denied=${denied("zato.scheduler.job.create")}>New job<//>`}>
    <p>A job says which service runs, and when.</p><//>
    <div class="pad first-job"><${CopyAs} title="Or without this page" forms=${[["Python", PYTHON], ["CLI", CLI]]} /></div>`;
}
