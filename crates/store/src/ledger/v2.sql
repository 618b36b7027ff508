-- Log entries that came without what was signed: all that is known of it is the digest, and whose key signed.
CREATE TABLE bare_entries (
    log BIGINT NOT NULL,
    digest TEXT NOT NULL,
    log_index BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    logged_unix_s BIGINT NOT NULL,
    PRIMARY KEY (log, digest, log_index)
) WITHOUT ROWID;
