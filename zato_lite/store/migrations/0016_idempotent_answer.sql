-- Answers to requests with an Idempotency-Key, for a repetition of the request by the same caller.
CREATE TABLE idempotent_answer (
    principal TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    answer TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (principal, key)
);
CREATE INDEX idempotent_answer_until ON idempotent_answer (until);
