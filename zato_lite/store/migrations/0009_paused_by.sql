-- Who paused a job: user:ann, key:ci, or system for a pause after failures; empty if unknown.
ALTER TABLE timer ADD COLUMN paused_by TEXT NOT NULL DEFAULT '';
