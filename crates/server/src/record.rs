//! Signs and logs what the server itself states: publications, moves of tags, grants.

use attest::predicate;
use registry::{Pending, Recorder};
use sign::SigningKey;
use store::home::Home;
use store::ledger::StatementRow;
use wire::dsse::{Envelope, IN_TOTO};
use wire::in_toto::Statement;

use crate::state::Clock;

/// The keys that a server signs with.
pub struct ServerKeys {
    /// Signs publications and the moves of tags.
    pub publisher: SigningKey,
    /// Signs grants; without it this server gives and revokes no token.
    pub admin: Option<SigningKey>,
}

pub(crate) struct HomeRecorder {
    pub(crate) home: Home,
    pub(crate) keys: ServerKeys,
    pub(crate) clock: Clock,
}

/// A statement that this server has no key for.
#[derive(Debug, thiserror::Error)]
#[error("this server holds no key to sign a statement of type `{0}`")]
struct NoKey(String);

impl HomeRecorder {
    /// Whether grants can be signed.
    pub(crate) fn can_grant(&self) -> bool {
        self.keys.admin.is_some()
    }

    fn seal(&self, statement: &Statement) -> Result<Envelope, NoKey> {
        let key = match statement.predicate_type.as_str() {
            predicate::PUBLICATION | predicate::TAG => Some(&self.keys.publisher),
            predicate::GRANT => self.keys.admin.as_ref(),
            _ => None,
        };
        let key = key.ok_or_else(|| NoKey(statement.predicate_type.clone()))?;
        Ok(sign::seal(IN_TOTO, &statement.to_json(), key))
    }
}

impl Recorder for HomeRecorder {
    fn record(&self, statements: Vec<Statement>) -> Pending<'_, ()> {
        Box::pin(async move {
            let envelopes = statements.iter().map(|statement| self.seal(statement)).collect::<Result<Vec<_>, _>>()?;
            self.home.append(envelopes, (self.clock)()).await?;
            Ok(())
        })
    }

    fn bundle<'a>(&'a self, statement: &'a StatementRow) -> Pending<'a, Vec<u8>> {
        Box::pin(async move { Ok(self.home.bundle(statement).await?.to_json()) })
    }
}
