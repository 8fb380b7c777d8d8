//! What one model looks like from outside, at one moment.

use std::sync::Arc;

use types::ModelSpec;

use crate::Replica;

/// Whether a model without replicas will have some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// Its workers are on their way; calls may wait.
    Starting,
    /// Nothing stands in the way.
    Ready,
    /// Its workers cannot be started, or die again and again; calls are refused with the reason.
    Failing {
        /// What the operator should know.
        reason: String,
    },
    /// Switched off or not configured; calls are refused with the reason.
    Disabled {
        /// What the operator should know.
        reason: String,
    },
}

impl Availability {
    /// One word for lists.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Failing { .. } => "failing",
            Self::Disabled { .. } => "disabled",
        }
    }

    /// Why calls are refused, if they are.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Starting | Self::Ready => None,
            Self::Failing { reason } | Self::Disabled { reason } => Some(reason),
        }
    }
}

/// Where a replica stands. One that is gone stands nowhere: it is not listed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Takes work.
    Ready,
    /// Finishes what it has.
    Draining,
    /// Does not finish what it has; about to be replaced.
    Stuck,
}

/// A replica and where it stands.
#[derive(Debug, Clone)]
pub struct Member {
    /// The replica.
    pub replica: Arc<Replica>,
    /// Where it stands.
    pub phase: Phase,
}

/// One model at one moment.
#[derive(Debug, Clone)]
pub struct ModelView {
    /// What the operator said about it.
    pub spec: Arc<ModelSpec>,
    /// Whether it will have replicas, as the supervisor sees it.
    pub outlook: Availability,
    /// Its replicas, oldest first.
    pub members: Vec<Member>,
}

impl ModelView {
    /// What callers should know: a model with a ready replica is ready, whatever the outlook.
    pub fn availability(&self) -> Availability {
        let ready = self.members.iter().any(|member| member.phase == Phase::Ready);
        match &self.outlook {
            Availability::Disabled { .. } => self.outlook.clone(),
            _ if ready => Availability::Ready,
            // Its last replica just went away and the supervisor has not spoken yet.
            Availability::Ready => Availability::Starting,
            other => other.clone(),
        }
    }
}
