-- The changed fields of a job, each with its value before and after, or the ids of many changed jobs,
-- as JSON; null for none.
ALTER TABLE audit ADD COLUMN changes TEXT;
