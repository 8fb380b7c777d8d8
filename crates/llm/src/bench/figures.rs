//! From the moments at which tokens came to figures.

use std::time::Duration;

use serde::Serialize;

/// When the tokens of one sequence came, since the run began.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    tokens: Vec<Duration>,
}

impl Timeline {
    pub(super) fn token(&mut self, at: Duration) {
        self.tokens.push(at);
    }
}

/// What one run took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunFigures {
    /// From the first request to the last token.
    pub wall_s: f64,
    /// All tokens of all answers, over the wall time.
    pub output_tokens_per_s: f64,
    /// All tokens of all prompts, over the time until every sequence had its first token.
    pub prefill_tokens_per_s: f64,
    /// All tokens but the first ones, over the rest of the time; `None` where there are none.
    pub decode_tokens_per_s: Option<f64>,
    /// Time to the first token, over the sequences.
    pub ttft_ms: Percentiles,
    /// Time between two tokens of a sequence; `None` where there is only one.
    pub itl_ms: Option<Percentiles>,
}

impl RunFigures {
    /// `None` if a sequence has no token. `input`: tokens of each prompt.
    pub(super) fn of(timelines: &[Timeline], input: usize) -> Option<Self> {
        let firsts: Option<Vec<Duration>> =
            timelines.iter().map(|timeline| timeline.tokens.first().copied()).collect();
        let firsts = firsts?;
        let all = || timelines.iter().flat_map(|timeline| &timeline.tokens);
        let begun = firsts.iter().max()?.as_secs_f64();
        let wall = all().max()?.as_secs_f64();
        let (tokens, sequences) = (all().count(), timelines.len());
        let gaps = timelines.iter().flat_map(|timeline| {
            timeline.tokens.windows(2).map(|pair| pair[1].saturating_sub(pair[0]))
        });
        let itl_ms = Percentiles::of(gaps);
        let after = (tokens - sequences) as f64 / (wall - begun);
        Some(Self {
            wall_s: wall,
            output_tokens_per_s: tokens as f64 / wall,
            prefill_tokens_per_s: (sequences * input) as f64 / begun,
            decode_tokens_per_s: itl_ms.is_some().then_some(after),
            ttft_ms: Percentiles::of(firsts)?,
            itl_ms,
        })
    }
}

/// Of times, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of them are shorter.
    pub p50: f64,
    /// Nine of ten are shorter.
    pub p90: f64,
    /// 99 of a hundred are shorter.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Percentiles {
    /// By the nearest rank; `None` of nothing.
    fn of(times: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut times: Vec<f64> =
            times.into_iter().map(|time| time.as_secs_f64() * 1_000.0).collect();
        times.sort_by(f64::total_cmp);
        let max = *times.last()?;
        let at = |share: f64| {
            let rank = (share * times.len() as f64).ceil() as usize;
            times[rank.clamp(1, times.len()) - 1]
        };
        Some(Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(ms: &[u64]) -> Timeline {
        Timeline { tokens: ms.iter().copied().map(Duration::from_millis).collect() }
    }

    #[test]
    fn two_sequences_are_added_up() {
        let run = RunFigures::of(&[timeline(&[100, 200, 400]), timeline(&[200, 300, 500])], 50);
        let run = run.unwrap();
        assert!((run.wall_s - 0.5).abs() < 1e-9);
        assert!((run.output_tokens_per_s - 12.0).abs() < 1e-9);
        assert!((run.prefill_tokens_per_s - 500.0).abs() < 1e-9);
        assert!((run.decode_tokens_per_s.unwrap() - 4.0 / 0.3).abs() < 1e-9);
        assert_eq!((run.ttft_ms.p50, run.ttft_ms.max), (100.0, 200.0));
        assert_eq!(run.itl_ms.unwrap().p99, 200.0);
    }

    #[test]
    fn a_prompt_alone_has_no_time_between_tokens() {
        let run = RunFigures::of(&[timeline(&[250])], 500).unwrap();
        assert_eq!((run.decode_tokens_per_s, run.itl_ms), (None, None));
        assert!((run.prefill_tokens_per_s - 2_000.0).abs() < 1e-9);
    }

    #[test]
    fn a_sequence_without_a_token_has_no_figures() {
        assert_eq!(RunFigures::of(&[timeline(&[])], 1), None);
        assert_eq!(RunFigures::of(&[], 1), None);
    }
}
