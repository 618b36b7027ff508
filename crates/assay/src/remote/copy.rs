//! Another copy of this home's log, behind a server.

use store::log::{Newer, SourceError};
use wire::digest::Digest;

use super::api::Api;
use crate::context::Context;
use crate::error::Result as Outcome;

/// The largest checkpoint that is read, with the signatures of many witnesses.
const CHECKPOINT_MAX: usize = 64 << 10;

/// The server. Asked from a thread that may block.
pub(crate) struct RemoteCopy {
    api: Api,
}

impl RemoteCopy {
    /// Prepares to ask; nothing is sent.
    pub(crate) fn new(url: &str, context: &Context) -> Outcome<RemoteCopy> {
        Ok(RemoteCopy { api: Api::new(url, context.global.token.as_deref(), context.runtime.handle().clone())? })
    }

    fn bytes(&self, path: &str, size_max: usize) -> Result<Vec<u8>, SourceError> {
        self.api.bytes(path, size_max).map_err(|failure| SourceError(failure.sentence()))
    }
}

impl Newer for RemoteCopy {
    fn checkpoint(&mut self) -> Result<String, SourceError> {
        let bytes = self.bytes("log/checkpoint", CHECKPOINT_MAX)?;
        String::from_utf8(bytes).map_err(|_| SourceError("its checkpoint is no text".to_owned()))
    }

    fn tile(&mut self, path: &str) -> Result<Vec<u8>, SourceError> {
        self.bytes(&format!("log/{path}"), tlog::tile::BUNDLE_SIZE_MAX)
    }

    fn blob(&mut self, digest: &Digest) -> Result<Vec<u8>, SourceError> {
        self.bytes(&format!("api/v1/blobs/{digest}"), wire::dsse::SIZE_MAX)
    }
}
