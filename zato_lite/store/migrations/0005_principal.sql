-- On whose behalf a run is made, and who asked for it.
ALTER TABLE run ADD COLUMN principal TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN requested_by TEXT NOT NULL DEFAULT '';

-- Grows with each change of a credential: nodes compare it to know that rights have changed.
INSERT INTO sequence VALUES ('credential', 1);
CREATE TRIGGER credential_inserted AFTER INSERT ON credential
    BEGIN UPDATE sequence SET value = value + 1 WHERE name = 'credential'; END;
CREATE TRIGGER credential_updated AFTER UPDATE ON credential
    BEGIN UPDATE sequence SET value = value + 1 WHERE name = 'credential'; END;
CREATE TRIGGER credential_deleted AFTER DELETE ON credential
    BEGIN UPDATE sequence SET value = value + 1 WHERE name = 'credential'; END;

-- The principal of an existing job is its latest editor, or else its creator, by the audit log.
-- A creation is recorded right after it; a later record of the same name is of an attempt that left
-- the existing job alone. Which jobs `apply` changed is not recorded: where it may have changed a job
-- since, the principal stays unknown, and so it does without any record.
CREATE TABLE creation AS SELECT id, at, who, subject FROM audit
    WHERE action = 'zato.scheduler.job.create' AND outcome = 'ok';
CREATE INDEX creation_subject ON creation (subject, at);
CREATE TABLE edition AS
    SELECT CAST(substr(subject, 1, instr(subject, ' ') - 1) AS INTEGER) AS job_id, max(id) AS id, who
    FROM audit WHERE action = 'zato.scheduler.job.edit' AND outcome = 'ok' GROUP BY 1;
CREATE UNIQUE INDEX edition_job ON edition (job_id);
CREATE TABLE application AS SELECT id, who FROM audit
    WHERE action = 'zato.scheduler.job.apply' AND outcome = 'ok'
    AND subject NOT LIKE '%, 0 changed';
CREATE INDEX application_id ON application (id);
CREATE TABLE origin AS
    SELECT j.id AS job_id, j.version AS version, coalesce(e.id, c.id) AS record,
        coalesce(e.who, c.who) AS who
    FROM job j LEFT JOIN edition e ON e.job_id = j.id
    LEFT JOIN creation c ON c.id = (SELECT min(id) FROM creation
        WHERE subject = j.name AND at BETWEEN j.created_at AND j.created_at + 10000000)
    WHERE j.deleted_at IS NULL AND length(j.name) < 200 AND coalesce(e.who, c.who) IS NOT NULL;
DELETE FROM origin WHERE version > 1 AND EXISTS (
    SELECT 1 FROM application a WHERE a.id > origin.record AND a.who <> origin.who);
CREATE UNIQUE INDEX origin_job ON origin (job_id);

UPDATE job SET definition = json_set(definition, '$.principal', (
    SELECT CASE WHEN EXISTS (SELECT 1 FROM credential WHERE kind = 'user' AND name = o.who)
        OR NOT EXISTS (SELECT 1 FROM credential WHERE kind = 'key' AND name = o.who)
        THEN 'user:' ELSE 'key:' END || o.who FROM origin o WHERE o.job_id = job.id))
    WHERE id IN (SELECT job_id FROM origin);
-- Jobs of the server's own: declared on classes, or its check for silent jobs.
UPDATE job SET definition = json_set(definition, '$.principal', 'system')
    WHERE deleted_at IS NULL
    AND (is_declared OR (name = 'zato.scheduler.job.check-silent' AND service = name));
-- Runs without a job that wait: services of the project's are its own code.
UPDATE call SET definition = json_set(definition, '$.principal', 'system')
    WHERE definition ->> 'service' NOT LIKE 'zato.%'
    AND run_id IN (SELECT id FROM run WHERE outcome IS NULL AND job_id = 0);

DROP TABLE creation;
DROP TABLE edition;
DROP TABLE application;
DROP TABLE origin;
