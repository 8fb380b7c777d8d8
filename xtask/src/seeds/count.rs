//! How much of the documents is covered, and what the rest waits for.

use std::fmt;

use super::page::{Document, MILESTONES, Proof};

/// What the page promises, in figures.
#[derive(Debug)]
pub(crate) struct Count {
    documents: Vec<(String, Tally)>,
    /// By milestone, in the order of the list, without those that nothing waits for.
    open: Vec<(&'static str, usize)>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    covered: usize,
    later: usize,
    not_taken: usize,
}

impl Count {
    pub(super) fn of(documents: &[Document]) -> Self {
        let proofs = || documents.iter().flat_map(|document| &document.rows).map(|row| &row.proof);
        let waiting = |milestone: &'static str| {
            (milestone, proofs().filter(|proof| **proof == Proof::Later(milestone)).count())
        };
        let open = MILESTONES.into_iter().map(waiting).filter(|(_, count)| *count > 0).collect();
        let tally = |document: &Document| (document.name.clone(), Tally::of(document));
        Self { documents: documents.iter().map(tally).collect(), open }
    }
}

impl Tally {
    fn of(document: &Document) -> Self {
        let mut tally = Self::default();
        for row in &document.rows {
            match row.proof {
                Proof::Tests(_) => tally.covered += 1,
                Proof::Later(_) => tally.later += 1,
                Proof::NotTaken => tally.not_taken += 1,
            }
        }
        tally
    }

    fn plus(self, other: Self) -> Self {
        Self {
            covered: self.covered + other.covered,
            later: self.later + other.later,
            not_taken: self.not_taken + other.not_taken,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { covered, later, not_taken } = self;
        let all = covered + later + not_taken;
        write!(f, "covered {covered} / {all}, later {later}, not taken {not_taken}")
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, tally) in &self.documents {
            writeln!(f, "{name:20} {tally}")?;
        }
        let all = self.documents.iter().fold(Tally::default(), |sum, (_, tally)| sum.plus(*tally));
        write!(f, "{:20} {all}", "all")?;
        for (milestone, count) in &self.open {
            write!(f, "\nlater: {milestone:20} {count}")?;
        }
        Ok(())
    }
}
