-- Slots of one outcome by time: missed ones, and those of jobs that overlap themselves.
DROP INDEX ledger_missed;
CREATE INDEX ledger_outcome ON ledger (outcome, last);
