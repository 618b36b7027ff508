CREATE TABLE logs (
    log BIGINT PRIMARY KEY,
    origin TEXT NOT NULL UNIQUE,
    size BIGINT NOT NULL,
    trust TEXT NOT NULL
);

CREATE TABLE terms (
    term BIGINT PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

CREATE TABLE leaves (
    log BIGINT NOT NULL,
    leaf TEXT NOT NULL,
    log_index BIGINT NOT NULL,
    PRIMARY KEY (log, leaf)
) WITHOUT ROWID;

CREATE TABLE statements (
    log BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    payload TEXT NOT NULL,
    envelope TEXT NOT NULL,
    predicate BIGINT NOT NULL,
    signer TEXT,
    key_id TEXT,
    subject TEXT,
    stated_unix_s BIGINT NOT NULL,
    logged_unix_s BIGINT NOT NULL,
    origin TEXT,
    origin_index BIGINT,
    bundle TEXT,
    PRIMARY KEY (log, log_index)
) WITHOUT ROWID;
CREATE INDEX statements_payload ON statements (log, payload, log_index);
CREATE INDEX statements_envelope ON statements (log, envelope);
CREATE INDEX statements_predicate ON statements (log, predicate, log_index);
CREATE INDEX statements_signer ON statements (log, signer, log_index);

CREATE TABLE subjects (
    log BIGINT NOT NULL,
    digest TEXT NOT NULL,
    predicate BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (log, digest, predicate, log_index, name)
) WITHOUT ROWID;
CREATE INDEX subjects_digest ON subjects (log, digest, log_index);
CREATE INDEX subjects_statement ON subjects (log, log_index);

CREATE TABLE nodes (
    node BIGINT PRIMARY KEY,
    log BIGINT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT,
    label TEXT,
    time_unix_s BIGINT
);
CREATE UNIQUE INDEX nodes_name ON nodes (log, name);
CREATE INDEX nodes_label ON nodes (log, label);
CREATE INDEX nodes_kind ON nodes (log, kind, time_unix_s);

CREATE TABLE edges (
    log BIGINT NOT NULL,
    child BIGINT NOT NULL,
    parent BIGINT NOT NULL,
    relation BIGINT NOT NULL,
    PRIMARY KEY (log, child, parent, relation)
) WITHOUT ROWID;
CREATE INDEX edges_parent ON edges (log, parent, child, relation);

CREATE TABLE artifacts (
    log BIGINT NOT NULL,
    digest TEXT NOT NULL,
    name TEXT NOT NULL,
    project TEXT NOT NULL,
    kind TEXT NOT NULL,
    commit_id TEXT,
    recipe TEXT NOT NULL,
    first_index BIGINT NOT NULL,
    last_index BIGINT NOT NULL,
    built_unix_s BIGINT NOT NULL,
    PRIMARY KEY (log, digest)
) WITHOUT ROWID;
CREATE INDEX artifacts_last ON artifacts (log, last_index);
CREATE INDEX artifacts_name ON artifacts (log, name, last_index);
CREATE INDEX artifacts_project ON artifacts (log, project, last_index);
CREATE INDEX artifacts_commit ON artifacts (log, commit_id, last_index);
CREATE INDEX artifacts_recipe ON artifacts (log, recipe);

CREATE TABLE runs (
    log BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    payload TEXT NOT NULL,
    recipe TEXT NOT NULL,
    level TEXT NOT NULL,
    complete BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    started_unix_s BIGINT NOT NULL,
    finished_unix_s BIGINT NOT NULL,
    PRIMARY KEY (log, log_index)
) WITHOUT ROWID;
CREATE INDEX runs_recipe ON runs (log, recipe, log_index);

CREATE TABLE verdicts (
    log BIGINT NOT NULL,
    digest TEXT NOT NULL,
    environment TEXT NOT NULL,
    log_index BIGINT NOT NULL,
    payload TEXT NOT NULL,
    policy TEXT NOT NULL,
    policy_name TEXT NOT NULL,
    result TEXT NOT NULL,
    judged_unix_s BIGINT NOT NULL,
    PRIMARY KEY (log, digest, environment, log_index)
) WITHOUT ROWID;
CREATE INDEX verdicts_statement ON verdicts (log, log_index);

CREATE TABLE deployments (
    log BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    payload TEXT NOT NULL,
    environment TEXT NOT NULL,
    service TEXT NOT NULL,
    artifact TEXT NOT NULL,
    digest TEXT NOT NULL,
    verdict TEXT NOT NULL,
    action TEXT NOT NULL,
    live BIGINT NOT NULL,
    actor TEXT NOT NULL,
    from_unix_s BIGINT NOT NULL,
    to_unix_s BIGINT,
    PRIMARY KEY (log, log_index)
) WITHOUT ROWID;
CREATE INDEX deployments_service ON deployments (log, environment, service, live, log_index);
CREATE INDEX deployments_digest ON deployments (log, digest, log_index);

CREATE TABLE observations (
    log BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    payload TEXT NOT NULL,
    environment TEXT NOT NULL,
    service TEXT NOT NULL,
    expected TEXT NOT NULL,
    observed TEXT,
    seen_unix_s BIGINT NOT NULL,
    PRIMARY KEY (log, log_index)
) WITHOUT ROWID;
CREATE INDEX observations_service ON observations (log, environment, service, log_index);

CREATE TABLE manifests (
    log BIGINT NOT NULL,
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    artifact_type TEXT,
    size BIGINT NOT NULL,
    subject TEXT,
    annotations TEXT,
    log_index BIGINT NOT NULL,
    published_unix_s BIGINT NOT NULL,
    PRIMARY KEY (log, repository, digest)
) WITHOUT ROWID;
CREATE INDEX manifests_subject ON manifests (log, repository, subject, digest);
CREATE INDEX manifests_subject_type ON manifests (log, repository, subject, artifact_type, digest);
CREATE INDEX manifests_digest ON manifests (log, digest);

CREATE TABLE repository_blobs (
    log BIGINT NOT NULL,
    repository TEXT NOT NULL,
    blob TEXT NOT NULL,
    manifest TEXT NOT NULL,
    PRIMARY KEY (log, repository, blob, manifest)
) WITHOUT ROWID;
CREATE INDEX repository_blobs_blob ON repository_blobs (log, blob);

CREATE TABLE tags (
    log BIGINT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    log_index BIGINT NOT NULL,
    moved_unix_s BIGINT NOT NULL,
    PRIMARY KEY (log, repository, tag)
) WITHOUT ROWID;
CREATE INDEX tags_digest ON tags (log, repository, digest);

CREATE TABLE tag_history (
    log BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    from_digest TEXT,
    to_digest TEXT,
    actor TEXT NOT NULL,
    moved_unix_s BIGINT NOT NULL,
    PRIMARY KEY (log, log_index)
) WITHOUT ROWID;
CREATE INDEX tag_history_tag ON tag_history (log, repository, tag, log_index);

CREATE TABLE grants (
    log BIGINT NOT NULL,
    token TEXT NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    repositories TEXT NOT NULL,
    log_index BIGINT NOT NULL,
    granted_unix_s BIGINT NOT NULL,
    PRIMARY KEY (log, token, role)
) WITHOUT ROWID;
CREATE INDEX grants_name ON grants (log, name);

CREATE TABLE policies (
    log BIGINT NOT NULL,
    name TEXT NOT NULL,
    log_index BIGINT NOT NULL,
    digest TEXT NOT NULL,
    payload TEXT NOT NULL,
    stated_unix_s BIGINT NOT NULL,
    PRIMARY KEY (log, name, log_index)
) WITHOUT ROWID;
CREATE INDEX policies_digest ON policies (log, digest)
