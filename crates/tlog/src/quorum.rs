//! Whether enough witnesses have cosigned a checkpoint.
//!
//! Specification: C2SP tlog-policy <https://c2sp.org/tlog-policy>; the file's form is read by `wire::tlog_policy`.
//!
//! A cosignature of an unknown key is passed over; a wrong one of a known key refuses the checkpoint, since somebody
//! has changed it; one from the future does not count.

use std::collections::BTreeMap;

use sign::cosignature::{CosignatureError, Cosigned, CosignerKey, CosignerKeyError};
use sign::note::{self, NoteError, NoteKey, VkeyError};
use wire::note::Note;
use wire::timestamp::Timestamp;
use wire::tlog_policy::{Member, TlogPolicy};

use crate::checkpoint::{Checkpoint, CheckpointError};

/// How far a witness's clock may be ahead of the verifier's.
const AHEAD_MAX_S: i64 = 60;

/// A policy whose keys can be used.
#[derive(Clone, Debug)]
pub struct Quorum {
    policy: TlogPolicy,
    logs: Vec<NoteKey>,
    cosigners: Vec<CosignerKey>,
}

/// The same policy has the same keys.
impl PartialEq for Quorum {
    fn eq(&self, other: &Quorum) -> bool {
        self.policy == other.policy
    }
}

impl Eq for Quorum {}

/// A checkpoint that a quorum has seen. Only [`Quorum::check`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    checkpoint: Checkpoint,
    cosigned: BTreeMap<String, Timestamp>,
}

/// A policy whose keys cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PolicyKeyError {
    /// Of a log.
    #[error(transparent)]
    Log(#[from] VkeyError),
    /// Of a witness.
    #[error("reading the key of witness `{name}`")]
    Witness {
        /// Its name in the policy.
        name: String,
        /// What is wrong.
        #[source]
        source: CosignerKeyError,
    },
}

/// Why a checkpoint does not satisfy a policy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum QuorumError {
    /// Not signed by a log of the policy.
    #[error("checking the log's signature")]
    Log(#[from] NoteError),
    /// Malformed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Signed with the key of another log.
    #[error("the checkpoint is of `{found}`, which is not the log whose key signed it")]
    Origin {
        /// First line of the checkpoint.
        found: String,
    },
    /// A wrong cosignature of a known witness.
    #[error("checking the cosignatures")]
    Cosignature(#[from] CosignatureError),
    /// Too few.
    #[error("the quorum `{quorum}` is not met: cosigned by {}", if .have.is_empty() { "nobody".to_owned() } else { .have.join(", ") })]
    NotMet {
        /// The name in the policy.
        quorum: String,
        /// The witnesses that count, by their names in the policy.
        have: Vec<String>,
        /// Witnesses whose cosignatures are from the future.
        ahead: Vec<String>,
    },
}

impl Quorum {
    /// Takes a policy whose every key can be used for what it stands for.
    pub fn new(policy: TlogPolicy) -> Result<Quorum, PolicyKeyError> {
        let logs = policy.logs.iter().map(|log| log.key.to_string().parse()).collect::<Result<_, _>>()?;
        let cosigner = |witness: &wire::tlog_policy::WitnessLine| {
            let error = |source| PolicyKeyError::Witness { name: witness.name.clone(), source };
            CosignerKey::of(witness.key.clone()).map_err(error)
        };
        let cosigners = policy.witnesses.iter().map(cosigner).collect::<Result<_, _>>()?;
        Ok(Quorum { policy, logs, cosigners })
    }

    /// Returns the policy.
    pub fn policy(&self) -> &TlogPolicy {
        &self.policy
    }

    /// Returns the logs that are accepted; none where the policy leaves them to the caller.
    pub fn logs(&self) -> &[NoteKey] {
        &self.logs
    }

    /// Checks a checkpoint: signed by one of the policy's logs (of `logs` where the policy names none), and cosigned by
    /// a quorum. `now` is the verifier's clock.
    pub fn check(&self, text: &str, logs: &[NoteKey], now: Timestamp) -> Result<Witnessed, QuorumError> {
        let logs = if self.logs.is_empty() { logs } else { &self.logs };
        let verified = note::verify(text, logs)?;
        let checkpoint = Checkpoint::parse(verified.body())?;
        if !verified.signers().contains(&checkpoint.origin) {
            return Err(QuorumError::Origin { found: checkpoint.origin });
        }
        let (times, ahead) = self.cosignatures(text, &checkpoint, now)?;
        let name = |index: &usize| self.policy.witnesses[*index].name.clone();
        let cosigned: BTreeMap<String, Timestamp> = times.iter().map(|(index, at)| (name(index), *at)).collect();
        if !self.is_met(&times) {
            let quorum = self.policy.quorum.map_or_else(|| "none".to_owned(), |member| self.name_of(member));
            return Err(QuorumError::NotMet { quorum, have: cosigned.into_keys().collect(), ahead });
        }
        Ok(Witnessed { checkpoint, cosigned })
    }

    /// The newest good cosignature of each witness, and the names of those whose clock is ahead.
    fn cosignatures(
        &self,
        text: &str,
        checkpoint: &Checkpoint,
        now: Timestamp,
    ) -> Result<(BTreeMap<usize, Timestamp>, Vec<String>), QuorumError> {
        let note = Note::parse(text).map_err(NoteError::from)?;
        let cosigned =
            Cosigned { body: &note.body, origin: &checkpoint.origin, size: checkpoint.size, root: &checkpoint.root };
        let (mut times, mut ahead) = (BTreeMap::new(), Vec::new());
        for line in &note.signatures {
            let Some(index) = self.cosigners.iter().position(|key| key.names(line)) else { continue };
            let at = self.cosigners[index].verify(line, &cosigned)?;
            if at > now.plus_s(AHEAD_MAX_S) {
                ahead.push(self.policy.witnesses[index].name.clone());
                continue;
            }
            let newest = times.entry(index).or_insert(at);
            *newest = at.max(*newest);
        }
        Ok((times, ahead))
    }

    fn is_met(&self, cosigned: &BTreeMap<usize, Timestamp>) -> bool {
        // Groups name earlier lines only, so one pass in order settles all of them.
        let mut groups: Vec<bool> = Vec::with_capacity(self.policy.groups.len());
        let holds = |member: &Member, groups: &[bool]| match member {
            Member::Witness(index) => cosigned.contains_key(index),
            Member::Group(index) => groups[*index],
        };
        for group in &self.policy.groups {
            let count = group.members.iter().filter(|member| holds(member, &groups)).count();
            groups.push(count >= group.threshold);
        }
        self.policy.quorum.is_none_or(|quorum| holds(&quorum, &groups))
    }

    fn name_of(&self, member: Member) -> String {
        match member {
            Member::Witness(index) => self.policy.witnesses[index].name.clone(),
            Member::Group(index) => self.policy.groups[index].name.clone(),
        }
    }
}

impl Witnessed {
    /// Returns the checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns who cosigned, by their names in the policy, and when they last did.
    pub fn cosigned(&self) -> &BTreeMap<String, Timestamp> {
        &self.cosigned
    }
}

#[cfg(test)]
mod tests;
