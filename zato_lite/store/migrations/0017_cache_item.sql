-- Values that services share on all nodes: self.cache.default. A value is JSON, or bytes in base64.
CREATE TABLE cache_item (
    cache TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    written_at BIGINT NOT NULL,
    until BIGINT,
    PRIMARY KEY (cache, key)
);
CREATE INDEX cache_item_until ON cache_item (until) WHERE until IS NOT NULL;
