//! Questions of the registry: manifests, referrers, tags, and who may do what.

use sqlx::Row;
use wire::digest::Digest;

use super::apply::integer;
use super::chain::Page;
use super::rows::{GrantRow, ManifestRow, TagMoveRow, TagRow};
use super::{Ledger, LedgerError};

type Result<T> = std::result::Result<T, LedgerError>;

/// Columns of a [`ManifestRow`].
macro_rules! manifest_columns {
    ($rest:literal) => {
        concat!(
            "SELECT repository, digest, media_type, artifact_type, size, subject, annotations, log_index, ",
            "published_unix_s FROM manifests ",
            $rest
        )
    };
}

/// Columns of a [`GrantRow`].
macro_rules! grant_columns {
    ($rest:literal) => {
        concat!("SELECT token, role, name, repositories, log_index, granted_unix_s FROM grants ", $rest)
    };
}

impl Ledger {
    /// Returns the names of repositories that have a manifest, sorted.
    pub async fn repositories(&self, page: &Page<String>) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        let mut last = page.after.clone().unwrap_or_default();
        // One step through the index for each name, however many manifests it has.
        while (names.len() as i64) < page.rows() {
            let row = sqlx::query(
                "SELECT repository FROM manifests WHERE log = $1 AND repository > $2 ORDER BY repository LIMIT 1",
            );
            let row = row.bind(self.log()).bind(last).fetch_optional(&self.reading().await.read).await?;
            let Some(row) = row else { break };
            last = row.try_get(0)?;
            names.push(last.clone());
        }
        Ok(names)
    }

    /// Returns a manifest, if it was published in that repository.
    pub async fn manifest(&self, repository: &str, digest: &Digest) -> Result<Option<ManifestRow>> {
        let query = sqlx::query(manifest_columns!("WHERE log = $1 AND repository = $2 AND digest = $3"));
        self.row(query.bind(self.log()).bind(repository.to_owned()).bind(digest.to_string())).await
    }

    /// Returns the manifests of a repository that are about `subject`, by digest, of one artifact type or of any.
    pub async fn referrers(
        &self,
        repository: &str,
        subject: &Digest,
        artifact_type: Option<&str>,
        page: &Page<Digest>,
    ) -> Result<Vec<ManifestRow>> {
        let query = match artifact_type {
            None => sqlx::query(manifest_columns!(
                "WHERE log = $1 AND repository = $2 AND subject = $3 AND digest > $4 ORDER BY digest LIMIT $5"
            )),
            Some(_) => sqlx::query(manifest_columns!(
                "WHERE log = $1 AND repository = $2 AND subject = $3 AND digest > $4 AND artifact_type = $6 \
                 ORDER BY digest LIMIT $5"
            )),
        };
        let after = page.after.map(|digest| digest.to_string()).unwrap_or_default();
        let query = query.bind(self.log()).bind(repository.to_owned()).bind(subject.to_string());
        let query = query.bind(after).bind(page.rows());
        self.rows(if artifact_type.is_some() { query.bind(artifact_type.map(str::to_owned)) } else { query }).await
    }

    /// Whether a blob belongs to a manifest of that repository, or is one.
    pub async fn repository_has(&self, repository: &str, blob: &Digest) -> Result<bool> {
        let query = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM repository_blobs WHERE log = $1 AND repository = $2 AND blob = $3) \
             OR EXISTS (SELECT 1 FROM manifests WHERE log = $1 AND repository = $2 AND digest = $3)",
        );
        let query = query.bind(self.log()).bind(repository.to_owned()).bind(blob.to_string());
        Ok(query.fetch_one(&self.reading().await.read).await?.try_get::<i64, _>(0)? != 0)
    }

    /// Returns the repositories that a blob or manifest belongs to, sorted.
    pub async fn repositories_with(&self, blob: &Digest) -> Result<Vec<String>> {
        let query = sqlx::query(
            "SELECT repository FROM repository_blobs WHERE log = $1 AND blob = $2 \
             UNION SELECT repository FROM manifests WHERE log = $1 AND digest = $2 ORDER BY repository",
        );
        let rows = query.bind(self.log()).bind(blob.to_string()).fetch_all(&self.reading().await.read).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>()?)
    }

    /// Returns where a tag points.
    pub async fn tag(&self, repository: &str, tag: &str) -> Result<Option<TagRow>> {
        let query = sqlx::query(
            "SELECT repository, tag, digest, log_index, moved_unix_s FROM tags \
             WHERE log = $1 AND repository = $2 AND tag = $3",
        );
        self.row(query.bind(self.log()).bind(repository.to_owned()).bind(tag.to_owned())).await
    }

    /// Returns the tags of a repository, by name.
    pub async fn tags(&self, repository: &str, page: &Page<String>) -> Result<Vec<TagRow>> {
        let query = sqlx::query(
            "SELECT repository, tag, digest, log_index, moved_unix_s FROM tags \
             WHERE log = $1 AND repository = $2 AND tag > $3 ORDER BY tag LIMIT $4",
        );
        let after = page.after.clone().unwrap_or_default();
        self.rows(query.bind(self.log()).bind(repository.to_owned()).bind(after).bind(page.rows())).await
    }

    /// Returns the tags of a repository that point to a manifest, by name.
    pub async fn tags_of(&self, repository: &str, digest: &Digest) -> Result<Vec<TagRow>> {
        let query = sqlx::query(
            "SELECT repository, tag, digest, log_index, moved_unix_s FROM tags \
             WHERE log = $1 AND repository = $2 AND digest = $3 ORDER BY tag",
        );
        self.rows(query.bind(self.log()).bind(repository.to_owned()).bind(digest.to_string())).await
    }

    /// Returns the moves of a tag, newest first.
    pub async fn tag_history(&self, repository: &str, tag: &str, page: &Page<u64>) -> Result<Vec<TagMoveRow>> {
        let query = sqlx::query(
            "SELECT log_index, from_digest, to_digest, actor, moved_unix_s FROM tag_history \
             WHERE log = $1 AND repository = $2 AND tag = $3 AND log_index < $4 ORDER BY log_index DESC LIMIT $5",
        );
        let query = query.bind(self.log()).bind(repository.to_owned()).bind(tag.to_owned());
        self.rows(query.bind(page.after.map_or(i64::MAX, integer)).bind(page.rows())).await
    }

    /// Returns the roles of a token, by the token's SHA-256; none for an unknown or revoked one.
    pub async fn grants_of(&self, token: &Digest) -> Result<Vec<GrantRow>> {
        let query = sqlx::query(grant_columns!("WHERE log = $1 AND token = $2 ORDER BY role"));
        self.rows(query.bind(self.log()).bind(token.to_string())).await
    }

    /// Returns the roles of all tokens of a name, or of all tokens.
    pub async fn grants(&self, name: Option<&str>) -> Result<Vec<GrantRow>> {
        match name {
            Some(name) => {
                let query = sqlx::query(grant_columns!("WHERE log = $1 AND name = $2 ORDER BY token, role"));
                self.rows(query.bind(self.log()).bind(name.to_owned())).await
            }
            None => {
                let query = sqlx::query(grant_columns!("WHERE log = $1 ORDER BY name, token, role"));
                self.rows(query.bind(self.log())).await
            }
        }
    }
}
