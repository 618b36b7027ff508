//! Registries as the lock phase reads images from them: `build::inputs::Images`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use build::base::reference::Repository;
use build::inputs::{Images, ImagesError};
use store::blobs::Blobs;
use wire::digest::Digest;
use wire::oci_distribution::{Name, Reference, Tag};
use wire::oci_image::Descriptor;

use super::address::Address;
use super::auth::{self, Login};
use super::oci::Client;
use crate::context::Context;
use crate::error::{Failure, Result};

/// All registries, each as the user may read it.
pub(crate) struct Registries<'a> {
    context: &'a Context,
    blobs: Blobs,
    /// Those that were asked, by host: a client remembers the token that it was given.
    clients: Mutex<BTreeMap<String, Arc<Client>>>,
}

impl<'a> Registries<'a> {
    /// Prepares to ask; blobs go to `blobs`.
    pub(crate) fn new(context: &'a Context, blobs: &Blobs) -> Registries<'a> {
        Registries { context, blobs: blobs.clone(), clients: Mutex::default() }
    }

    /// Returns the digest that a tag leads to now; `None` when there is none.
    pub(crate) fn digest(&self, host: &str, name: &Name, tag: &Tag) -> Result<Option<Digest>> {
        self.client(host)?.head(name, &Reference::Tag(tag.clone()))
    }

    fn client(&self, host: &str) -> Result<Arc<Client>> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(host) {
            return Ok(client.clone());
        }
        let address = Address::of_host(host, false)?;
        let login = auth::login_of(&address.host())?.or_else(|| self.token_for(&address));
        let client = Arc::new(Client::new(address, login, self.context.runtime.handle().clone())?);
        clients.insert(host.to_owned(), client.clone());
        Ok(client)
    }

    /// The token is for the server that was named with it, and for no other host.
    fn token_for(&self, address: &Address) -> Option<Login> {
        let server = Address::of_url(self.context.global.server.as_deref()?).ok()?;
        let token = self.context.global.token.as_deref()?;
        (server == *address && !address.is_exposed()).then(|| Login::of_token(token))
    }
}

impl Images for Registries<'_> {
    fn manifest(&self, repository: &Repository, digest: &Digest) -> std::result::Result<Vec<u8>, ImagesError> {
        let found = self
            .client(&repository.host)
            .and_then(|client| client.manifest(&repository.name, &Reference::Digest(*digest)))
            .and_then(|found| {
                found.ok_or_else(|| {
                    Failure::no("not-found", format!("{} has no `{}` `{digest}`", repository.host, repository.name))
                })
            });
        found.map(|manifest| manifest.bytes).map_err(|failure| told(repository, failure))
    }

    fn blob(&self, repository: &Repository, blob: &Descriptor) -> std::result::Result<(), ImagesError> {
        let pulled =
            self.client(&repository.host).and_then(|client| client.pull_blob(&repository.name, blob, &self.blobs));
        pulled.map(drop).map_err(|failure| told(repository, failure))
    }
}

fn told(repository: &Repository, failure: Failure) -> ImagesError {
    ImagesError { repository: repository.clone(), source: Box::new(Told(failure)) }
}

/// A failure as an error's cause: what happened, and what to do next.
#[derive(Debug)]
struct Told(Failure);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.sentence())?;
        match &self.0.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Error for Told {}
