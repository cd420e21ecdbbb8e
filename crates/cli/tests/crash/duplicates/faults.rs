//! What the nemesis does, and how it is undone.

use std::time::Duration;

use rustix::process::Signal;

use super::round::Round;
use crate::chance::Sequence;

/// For how long Slurm's commands wait for an answer, as `ci/slurm.sh` configures it.
pub(super) const MESSAGE_TIMEOUT: Duration = Duration::from_secs(3);

/// Something bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// Slurm's controller stands still.
    FreezeController,
    /// All connections of SSH are cut; what runs at their other end goes on.
    CutConnections,
    /// The SSH server is gone, and its connections with it.
    StopSsh,
    /// The program is killed.
    KillServer,
    /// The program stands still.
    FreezeServer,
}

/// Freezing the controller is what makes scripts submit twice.
const ALL: [Fault; 7] = [
    Fault::FreezeController,
    Fault::FreezeController,
    Fault::CutConnections,
    Fault::StopSsh,
    Fault::KillServer,
    Fault::KillServer,
    Fault::FreezeServer,
];

impl Fault {
    /// Some fault, and after how long it is undone.
    pub(super) fn some(random: &mut Sequence) -> (Self, Duration) {
        let fault = *random.choose(&ALL).unwrap();
        let (shortest, longest) = match fault {
            // Often longer than clients wait for an answer.
            Self::FreezeController => (1000, 7000),
            Self::CutConnections => (0, 1),
            Self::StopSsh => (200, 2500),
            Self::KillServer => (0, 1500),
            Self::FreezeServer => (200, 3000),
        };
        (fault, Duration::from_millis(shortest + random.below(longest - shortest)))
    }

    fn name(self) -> &'static str {
        match self {
            Self::FreezeController => "frozen controllers",
            Self::CutConnections => "cut connections",
            Self::StopSsh => "stopped SSH servers",
            Self::KillServer => "kills",
            Self::FreezeServer => "freezes",
        }
    }
}

impl Round<'_> {
    /// Does it. False where that is not possible now, as it is done already.
    pub(super) fn strike(&mut self, fault: Fault) -> bool {
        // A program that is killed is neither killed again nor frozen.
        let same = |done: Fault| match fault {
            Fault::KillServer | Fault::FreezeServer => matches!(done, Fault::KillServer | Fault::FreezeServer),
            Fault::CutConnections => done == Fault::StopSsh,
            _ => done == fault,
        };
        if self.done.iter().any(|(_, done)| same(*done)) {
            return false;
        }
        match fault {
            Fault::FreezeController => self.cluster.signal("slurmctld", "STOP"),
            Fault::CutConnections => self.cluster.cut(),
            Fault::StopSsh => self.cluster.signal("sshd", "KILL"),
            Fault::KillServer => self.program.kill(),
            Fault::FreezeServer => self.program.signal(Signal::STOP),
        }
        self.story.count(fault.name());
        true
    }

    /// Undoes it.
    pub(super) fn undo(&mut self, fault: Fault) {
        match fault {
            Fault::FreezeController => self.cluster.signal("slurmctld", "CONT"),
            Fault::CutConnections => {}
            Fault::StopSsh => self.cluster.again("sshd"),
            Fault::KillServer => self.program = self.bed.serve(),
            Fault::FreezeServer => self.program.signal(Signal::CONT),
        }
    }
}
