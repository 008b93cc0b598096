-- works with: 17
-- The run whose callback led to this one. Runs of slots leave the index alone.
ALTER TABLE run ADD COLUMN caused_by BIGINT;
CREATE INDEX run_caused_by ON run (caused_by) WHERE caused_by IS NOT NULL;
