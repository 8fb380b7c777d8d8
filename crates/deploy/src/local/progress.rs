//! Which reports of progress become lines of the log: a bar wants all of them, a reader a few.

/// A line says so much more than the one before, in percent.
const STEP: f64 = 10.0;

/// How far a worker has come with one thing after another.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// What the last line said.
    told: Option<f64>,
    /// What the last report said.
    seen: Option<f64>,
}

impl Progress {
    /// Takes a report; whether it is worth a line.
    pub(super) fn is_news(&mut self, percent: f64) -> bool {
        let news = match (self.told, self.seen) {
            (Some(told), Some(seen)) => {
                // Less than before: something else has begun.
                percent < seen || percent >= told + STEP || (percent >= 100.0 && told < 100.0)
            }
            _ => true,
        };
        self.seen = Some(percent);
        if news {
            self.told = Some(percent);
        }
        news
    }

    /// Whether something was begun and not brought to its end.
    pub(super) fn is_open(&self) -> bool {
        self.seen.is_some_and(|percent| percent < 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reports: &[f64], lines: &[f64], is_open: bool) {
        let mut progress = Progress::default();
        let told: Vec<f64> = reports.iter().copied().filter(|&p| progress.is_news(p)).collect();
        assert_eq!(told, lines);
        assert_eq!(progress.is_open(), is_open);
    }

    #[test]
    fn one_of_many_reports_is_a_line() {
        let reports: Vec<f64> = (1..=100).map(f64::from).collect();
        let lines = [1.0, 11.0, 21.0, 31.0, 41.0, 51.0, 61.0, 71.0, 81.0, 91.0, 100.0];
        check(&reports, &lines, false);
        check(&reports[..37], &lines[..4], true);
    }

    #[test]
    fn what_begins_anew_is_told_anew_and_the_end_once() {
        check(&[50.0, 97.0, 100.0, 100.0, 3.0, 4.0, 30.0], &[50.0, 97.0, 100.0, 3.0, 30.0], true);
    }

    #[test]
    fn nothing_told_is_nothing_begun() {
        check(&[], &[], false);
    }
}
