//! The breaker against a plain reading of its rules, which keeps the whole history.

use std::time::{Duration, Instant};

use policy::breaker::{Breaker, BreakerLimits, CallEnd, Circuit, Pass};
use proptest::{prelude::*, sample::Index};

const OPEN_FOR: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
enum Step {
    Enter,
    End(Index, CallEnd),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop::sample::select(vec![
        CallEnd::Answered,
        CallEnd::CallerError,
        CallEnd::Busy,
        CallEnd::Abandoned,
        CallEnd::Failed,
        CallEnd::Failed,
        CallEnd::Failed,
    ]);
    let step = prop_oneof![
        4 => Just(Step::Enter),
        4 => (any::<Index>(), end).prop_map(|(index, end)| Step::End(index, end)),
        1 => (0..15u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..200)
}

/// The rules, word for word.
struct Rules {
    limits: BreakerLimits,
    /// Counted ends since it last closed, oldest first; `true` is a failure.
    counted: Vec<bool>,
    opened: Option<Instant>,
    probe: Option<u32>,
    /// Calls with a smaller number were begun before the last change.
    stale_below: u32,
}

impl Rules {
    /// Whether call number `call` may go.
    fn enter(&mut self, call: u32, now: Instant) -> bool {
        match self.opened {
            None => true,
            Some(opened) if now < opened + OPEN_FOR || self.probe.is_some() => false,
            Some(_) => {
                self.probe = Some(call);
                true
            }
        }
    }

    fn ended(&mut self, call: u32, end: CallEnd, next_call: u32, now: Instant) {
        if self.probe == Some(call) {
            self.probe = None;
            match end {
                CallEnd::Answered | CallEnd::CallerError => {
                    self.opened = None;
                    self.counted.clear();
                    self.stale_below = next_call;
                }
                CallEnd::Failed => self.opened = Some(now),
                CallEnd::Busy | CallEnd::Abandoned => {}
            }
        } else if self.opened.is_none() && call >= self.stale_below {
            match end {
                CallEnd::Answered => self.counted.push(false),
                CallEnd::Failed => self.counted.push(true),
                CallEnd::CallerError | CallEnd::Busy | CallEnd::Abandoned => return,
            }
            let latest = self.counted.iter().rev().take(self.limits.window as usize);
            if latest.filter(|failed| **failed).count() as u32 >= self.limits.failures_max {
                self.opened = Some(now);
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::cases(512))]

    #[test]
    fn the_breaker_follows_its_rules(
        window in 1..=64u32,
        failures_max in 1..8u32,
        steps in steps(),
    ) {
        let limits = BreakerLimits { window, failures_max, open_for: OPEN_FOR };
        let mut breaker = Breaker::new(limits);
        let mut rules =
            Rules { limits, counted: vec![], opened: None, probe: None, stale_below: 0 };
        let mut now = Instant::now();
        let mut under_way: Vec<(u32, Pass)> = Vec::new();
        let mut next_call = 0;
        for step in steps {
            match step {
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
                Step::Enter => {
                    let pass = breaker.enter(now);
                    prop_assert_eq!(pass.is_ok(), rules.enter(next_call, now));
                    under_way.extend(pass.ok().map(|pass| (next_call, pass)));
                    next_call += 1;
                }
                Step::End(index, end) if !under_way.is_empty() => {
                    let (call, pass) = under_way.remove(index.index(under_way.len()));
                    breaker.ended(pass, end, now);
                    rules.ended(call, end, next_call, now);
                }
                Step::End(..) => {}
            }
            prop_assert_eq!(breaker.circuit() == Circuit::Closed, rules.opened.is_none());
        }
    }
}
