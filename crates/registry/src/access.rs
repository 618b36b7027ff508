//! Who may do what, to which repositories.
//!
//! | role | may |
//! | --- | --- |
//! | `reader` | read |
//! | `publisher` | read; push; add statements |
//! | `deployer` | read; add statements (verdicts, deployments, observations) |
//! | `admin` | all of it, and give and revoke tokens |
//!
//! A token holds grants; a grant is a role and the repositories that it covers. What belongs to no repository
//! (the log, the environments, a walk over the chain) may be read by every token with a role at all; only an `admin`
//! of `*` gives tokens, since a token can be good for any repository. Nothing here
//! knows how a token travels, or where grants are kept.

use crate::pattern::Pattern;

/// A role, as grant statements name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Reader,
    /// Reads, pushes, adds statements.
    Publisher,
    /// Reads, adds statements.
    Deployer,
    /// Everything.
    Admin,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read a repository, or what belongs to none.
    Read,
    /// Push blobs and manifests, move tags.
    Push,
    /// Add statements and the blobs they name.
    Attest,
    /// Give and revoke tokens.
    Administer,
}

/// A role over some repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The repositories it covers; empty covers none.
    pub repositories: Vec<Pattern>,
}

impl Role {
    /// All roles with their names.
    pub const ALL: [(Role, &'static str); 4] = [
        (Role::Reader, "reader"),
        (Role::Publisher, "publisher"),
        (Role::Deployer, "deployer"),
        (Role::Admin, "admin"),
    ];

    /// Returns the role of a name.
    pub fn of_name(name: &str) -> Option<Role> {
        Role::ALL.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
    }

    /// Returns the role's name.
    pub fn name(self) -> &'static str {
        Role::ALL.iter().find(|(role, _)| *role == self).expect("every role is in the table").1
    }

    /// Whether the role includes the action.
    pub fn allows(self, action: Action) -> bool {
        match action {
            Action::Read => true,
            Action::Push => matches!(self, Role::Publisher | Role::Admin),
            Action::Attest => matches!(self, Role::Publisher | Role::Deployer | Role::Admin),
            Action::Administer => self == Role::Admin,
        }
    }
}

/// Whether the grants allow `action` on `repository`; `None` is what belongs to no repository.
pub fn allows(grants: &[Grant], action: Action, repository: Option<&str>) -> bool {
    grants.iter().any(|grant| {
        let covered = match repository {
            // A token is good for any repository, so only who has all of them may give one.
            None if action == Action::Administer => return covers_everything(std::slice::from_ref(grant), action),
            None => true,
            Some(name) => grant.repositories.iter().any(|pattern| pattern.covers(name)),
        };
        covered && grant.role.allows(action)
    })
}

/// Whether the grants allow `action` on every repository there may be, by one grant of `*`.
pub fn covers_everything(grants: &[Grant], action: Action) -> bool {
    let everything = |grant: &Grant| grant.repositories.iter().any(|pattern| pattern.as_str() == "*");
    grants.iter().any(|grant| grant.role.allows(action) && everything(grant))
}

#[cfg(test)]
mod tests;
