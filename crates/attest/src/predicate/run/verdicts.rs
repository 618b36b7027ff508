//! What is computed from a trace, as it stands under `assay.verdicts`.

use model::run::{Attempt, Clock, Drawn, Verdicts};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerdictsBody {
    unread: Vec<String>,
    dynamic: Vec<AttemptBody>,
    random: Vec<DrawnBody>,
    clock: Vec<ClockBody>,
    clock_files: Vec<AttemptBody>,
    outside: Vec<AttemptBody>,
}

#[derive(Serialize, Deserialize)]
struct AttemptBody {
    what: String,
    process: usize,
    command: String,
    count: u64,
}

#[derive(Serialize, Deserialize)]
struct DrawnBody {
    program: String,
    source: String,
    seeded: bool,
    process: usize,
    count: u64,
}

#[derive(Serialize, Deserialize)]
struct ClockBody {
    step: String,
    tier: String,
    fixed: bool,
}

impl VerdictsBody {
    pub(super) fn of(verdicts: &Verdicts) -> VerdictsBody {
        let attempts = |list: &[Attempt]| list.iter().map(AttemptBody::of).collect();
        let drawn = |one: &Drawn| DrawnBody {
            program: one.program.clone(),
            source: one.source.clone(),
            seeded: one.seeded,
            process: one.process,
            count: one.count,
        };
        let clock = |one: &Clock| ClockBody { step: one.step.clone(), tier: one.tier.clone(), fixed: one.fixed };
        VerdictsBody {
            unread: verdicts.unread.clone(),
            dynamic: attempts(&verdicts.dynamic),
            random: verdicts.random.iter().map(drawn).collect(),
            clock: verdicts.clock.iter().map(clock).collect(),
            clock_files: attempts(&verdicts.clock_files),
            outside: attempts(&verdicts.outside),
        }
    }

    pub(super) fn value(self) -> Verdicts {
        let attempts = |list: Vec<AttemptBody>| list.into_iter().map(AttemptBody::value).collect();
        let drawn = |one: DrawnBody| Drawn {
            program: one.program,
            source: one.source,
            seeded: one.seeded,
            process: one.process,
            count: one.count,
        };
        let clock = |one: ClockBody| Clock { step: one.step, tier: one.tier, fixed: one.fixed };
        Verdicts {
            unread: self.unread,
            dynamic: attempts(self.dynamic),
            random: self.random.into_iter().map(drawn).collect(),
            clock: self.clock.into_iter().map(clock).collect(),
            clock_files: attempts(self.clock_files),
            outside: attempts(self.outside),
        }
    }
}

impl AttemptBody {
    fn of(one: &Attempt) -> AttemptBody {
        AttemptBody { what: one.what.clone(), process: one.process, command: one.command.clone(), count: one.count }
    }

    fn value(self) -> Attempt {
        Attempt { what: self.what, process: self.process, command: self.command, count: self.count }
    }
}
