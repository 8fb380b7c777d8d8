//! Ends that webhooks were not told of yet: a sorted set in the order of the ends.

use redis::Pipeline;

use super::{Shared, link::Question};
use crate::{Notice, Place, StoreError};

pub(super) const KEY: &str = "notices";

impl Shared {
    /// The oldest of them.
    pub(super) async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        let mut pipe = Pipeline::new();
        // The last place is counted too.
        pipe.zrange(self.keys.named(KEY), 0, i64::from(limit).max(1) as isize - 1);
        let (found,): (Vec<String>,) = self.link.ask(Question::Pipe(&pipe)).await?;
        Ok(found.iter().filter_map(|text| parse(text)).collect())
    }

    pub(super) async fn forget_notice(&self, notice: Notice) -> Result<(), StoreError> {
        let mut pipe = Pipeline::new();
        pipe.zrem(self.keys.named(KEY), text(&notice));
        let (_,): (i64,) = self.link.ask(Question::Pipe(&pipe)).await?;
        Ok(())
    }
}

/// `id attempt place`; the place is that of the end, which every notice is about.
pub(super) fn text(notice: &Notice) -> String {
    let Notice { task, attempt, state } = notice;
    let place = Place::of_end(*state).map_or(-1, Place::code);
    format!("{task} {attempt} {place}")
}

/// Reads `id attempt place`, as `scripts/step.lua` writes it.
pub(super) fn parse(text: &str) -> Option<Notice> {
    let mut words = text.split(' ');
    Some(Notice {
        task: words.next()?.parse().ok()?,
        attempt: words.next()?.parse().ok()?,
        state: Place::from_code(words.next()?.parse().ok()?)?.state(),
    })
}
