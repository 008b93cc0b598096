// The lane of one job. Replaced by the timeline once that has landed.

/** @param {{job: Record<string, any>}} _ */
export function JobLane(_) {
  return null;
}
