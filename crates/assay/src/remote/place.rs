//! A registry as a command finds it: one of ours, which keeps statements itself, or any other.

use super::address::Address;
use super::api::Api;
use super::auth::{self, Login};
use super::oci::Client;
use crate::error::Result;
use crate::session::Session;

/// A registry and how to speak to it.
pub(crate) struct Place {
    /// Its OCI side.
    pub(crate) client: Client,
    /// Its API, if it is a server of ours.
    pub(crate) ours: Option<Api>,
}

impl Place {
    /// Finds out what answers at an address.
    ///
    /// The token is for the server that the session speaks to. Another host gets it only when no server was named, so
    /// that the token cannot have been meant for somebody else; the logins of `podman login` win over it.
    pub(crate) fn find(session: &Session<'_>, address: &Address) -> Result<Place> {
        let context = session.context();
        let runtime = context.runtime.handle();
        let own = session.server().filter(|server| server.address() == address);
        let token = match (own, session.server(), &context.global.server) {
            (Some(server), _, _) => server.token(),
            (None, None, None) => context.global.token.as_deref(),
            (None, ..) => None,
        };
        let login = match own.is_some() {
            true => None,
            false => auth::login_of(&address.host())?,
        };
        // An address that others can listen to gets no token, whatever answers there.
        let token = token.filter(|_| login.is_none() && !address.is_exposed());
        let api = Api::at(address.clone(), token, runtime.clone())?;
        let login = login.or_else(|| token.map(Login::of_token));
        let client = Client::new(address.clone(), login, runtime.clone())?;
        let ours = api.is_ours()?.then_some(api);
        Ok(Place { client, ours })
    }
}
