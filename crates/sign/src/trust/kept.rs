//! Whether a new trust root keeps what an old one accepted: the proof that a change of keys takes no word back.

use wire::digest::Digest;
use wire::timestamp::Timestamp;

use super::{Identity, LogIdentity, Trust};

/// What a new trust root would no longer accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the new trust root does not keep {whose}: {what}")]
pub struct Lost {
    /// Whose window it is: `the key sha256:… of `admin``.
    pub whose: String,
    /// What has changed.
    pub what: &'static str,
}

impl Trust {
    /// Checks that whatever counted by `old` up to `now` counts by this root: every key with its name, its roles and its
    /// window, every log and every authority. A window without an end may get one that is not past. Of `revoked`, a key's
    /// id, nothing after its revocation needs to count.
    pub fn keeps(&self, old: &Trust, now: Timestamp, revoked: Option<&Digest>) -> Result<(), Lost> {
        for identity in &old.identities {
            let id = identity.key.id();
            let lost = |what| Lost { whose: format!("the key {id} of `{}`", identity.name), what };
            let kept = self.identity(&id).ok_or_else(|| lost("it is missing"))?;
            keeps_identity(kept, identity, now, revoked == Some(&id)).map_err(lost)?;
        }
        for log in &old.logs {
            let kept = self.logs.iter().any(|one| keeps_log(one, log, now));
            lost_unless(kept, || format!("the log `{}`", log.origin))?;
        }
        for identity in &old.certified {
            lost_unless(self.certified.contains(identity), || format!("the certificates of `{}`", identity.name))?;
        }
        let (new, old) = (&self.authorities, &old.authorities);
        let authorities = [(&new.certificates, &old.certificates), (&new.times, &old.times)];
        for (new, old) in authorities {
            for one in old {
                lost_unless(new.contains(one), || format!("the authority `{}`", one.uri()))?;
            }
        }
        for one in &old.certificate_logs {
            lost_unless(new.certificate_logs.contains(one), || {
                format!("the log of certificates `{}`", one.base_url())
            })?;
        }
        Ok(())
    }
}

fn lost_unless(kept: bool, whose: impl FnOnce() -> String) -> Result<(), Lost> {
    if kept { Ok(()) } else { Err(Lost { whose: whose(), what: "it is missing or changed" }) }
}

fn keeps_identity(new: &Identity, old: &Identity, now: Timestamp, revoked: bool) -> Result<(), &'static str> {
    if new.name != old.name {
        return Err("its name has changed");
    }
    if new.roles != old.roles {
        return Err("its roles have changed");
    }
    if new.valid_from != old.valid_from {
        return Err("its window begins at another time");
    }
    if !keeps_end(new.valid_until, old.valid_until, now) {
        return Err("its window ends at another time");
    }
    let earlier = || new.revoked_at.is_some_and(|new| old.revoked_at.is_none_or(|old| new <= old));
    if new.revoked_at != old.revoked_at && !(revoked && earlier()) {
        return Err("its revocation has changed");
    }
    Ok(())
}

fn keeps_log(new: &LogIdentity, old: &LogIdentity, now: Timestamp) -> bool {
    let same = new.origin == old.origin && new.key == old.key && new.valid_from == old.valid_from;
    same && keeps_end(new.valid_until, old.valid_until, now)
}

/// Whether an end is as it was, or the first one, and not past.
fn keeps_end(new: Option<Timestamp>, old: Option<Timestamp>, now: Timestamp) -> bool {
    new == old || (old.is_none() && new.is_some_and(|end| end >= now))
}

#[cfg(test)]
mod tests;
