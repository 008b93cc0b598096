-- Jobs with a calendar. An insert without one leaves the index alone.
ALTER TABLE job ADD COLUMN calendar TEXT;
UPDATE job SET calendar = definition ->> 'calendar' WHERE definition ->> 'calendar' IS NOT NULL;
CREATE INDEX job_calendar ON job (calendar) WHERE calendar IS NOT NULL;
