-- A wish of another node to the one that has a run: revoke or cancel; null for none.
ALTER TABLE run ADD COLUMN wish TEXT;
CREATE INDEX run_wish ON run (node) WHERE wish IS NOT NULL;
-- Until then the job is not claimed ahead of its slot: a change that asks for its runs comes first.
ALTER TABLE timer ADD COLUMN calm_until BIGINT NOT NULL DEFAULT 0;
-- The serial grows with each commit of the node. Services are a JSON list; the program and the schema
-- are those that the node knows.
ALTER TABLE node ADD COLUMN serial BIGINT NOT NULL DEFAULT 0;
ALTER TABLE node ADD COLUMN services TEXT NOT NULL DEFAULT '';
ALTER TABLE node ADD COLUMN program TEXT NOT NULL DEFAULT '';
ALTER TABLE node ADD COLUMN schema BIGINT NOT NULL DEFAULT 0;
