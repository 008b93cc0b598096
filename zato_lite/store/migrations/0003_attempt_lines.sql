-- What was logged during an attempt that was followed by another one; the latest one's is in run_log.
ALTER TABLE attempt ADD COLUMN lines TEXT;
