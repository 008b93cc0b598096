-- Two questions about all jobs, answered by columns: an index on a text that is looked for in the
-- definition costs each creation that search.
ALTER TABLE job ADD COLUMN is_declared INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN is_watched INTEGER NOT NULL DEFAULT 0;
UPDATE job SET is_declared = instr(definition, '"is_declared":true') > 0,
    is_watched = instr(definition, '"alert_after_intervals":') > 0
WHERE instr(definition, '"is_declared":true') > 0
    OR instr(definition, '"alert_after_intervals":') > 0;
DROP INDEX job_declared;
DROP INDEX job_watched;
CREATE INDEX job_declared ON job (id) WHERE is_declared;
CREATE INDEX job_watched ON job (id) WHERE is_watched;
