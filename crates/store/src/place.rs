//! Where a record stands: a public state, and for what waits also in which lane.

use api::task::TaskState;
use types::Priority;

/// A place in the store. Its code is what is written, and the codes of what can be claimed are the
/// smallest, most urgent first: "the next task" is then one step into an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Waits in a lane and can be claimed.
    Ready(Priority),
    /// Waits until a moment has come.
    Delayed,
    /// Somebody holds a lease on it.
    Running,
    /// Has its answer.
    Completed,
    /// Ended with an error that is not tried again.
    Failed,
    /// A client did not want it any more.
    Cancelled,
    /// Used up its attempts.
    Dead,
}

impl Place {
    /// Every place, in the order of the codes.
    pub const ALL: [Self; 9] = [
        Self::Ready(Priority::High),
        Self::Ready(Priority::Normal),
        Self::Ready(Priority::Low),
        Self::Delayed,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Dead,
    ];

    /// The ready lane with the largest code.
    pub(crate) const READY_LAST: Self = Self::Ready(Priority::Low);

    /// What is written to the database. Never change one: files hold them.
    pub const fn code(self) -> i64 {
        match self {
            Self::Ready(Priority::High) => 0,
            Self::Ready(Priority::Normal) => 1,
            Self::Ready(Priority::Low) => 2,
            Self::Delayed => 3,
            Self::Running => 4,
            Self::Completed => 5,
            Self::Failed => 6,
            Self::Cancelled => 7,
            Self::Dead => 8,
        }
    }

    /// The place with that code, if there is one.
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|index| Self::ALL.get(index)).copied()
    }

    /// The state that clients see.
    pub const fn state(self) -> TaskState {
        match self {
            Self::Ready(_) | Self::Delayed => TaskState::Queued,
            Self::Running => TaskState::Running,
            Self::Completed => TaskState::Completed,
            Self::Failed => TaskState::Failed,
            Self::Cancelled => TaskState::Cancelled,
            Self::Dead => TaskState::Dead,
        }
    }

    /// The place where a task stands that ended as `state`; `None` if that is no end.
    pub(crate) fn of_end(state: TaskState) -> Option<Self> {
        Self::of_state(state).next().filter(|_| state.is_terminal())
    }

    /// Every place that clients see as `state`.
    pub fn of_state(state: TaskState) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |place| place.state() == state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back_and_stay_what_they_are() {
        for (index, place) in Place::ALL.into_iter().enumerate() {
            assert_eq!(place.code(), index as i64);
            assert_eq!(Place::from_code(place.code()), Some(place));
        }
        assert_eq!(Place::from_code(-1), None);
        assert_eq!(Place::from_code(9), None);
    }

    #[test]
    fn every_state_has_a_place() {
        for state in TaskState::ALL {
            assert!(Place::of_state(state).count() > 0, "{state:?}");
        }
    }
}
