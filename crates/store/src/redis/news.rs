//! What other servers do: each step of a task is told on one channel.

use std::{sync::Arc, time::Duration};

use futures_util::stream::{self, BoxStream, StreamExt};
use redis::{RedisResult, aio::PubSub};
use tokio::time::{sleep, timeout};

use super::Shared;
use crate::{Changed, News, Place};

/// Wait before the channel is opened again.
const WAIT: Duration = Duration::from_millis(500);

/// So long without a word, and the channel is asked whether it still lives.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Everything from now on. Whatever was told while the channel was closed is [`News::Missed`].
pub(super) fn follow(shared: Arc<Shared>) -> BoxStream<'static, News> {
    stream::unfold((shared, None), |(shared, channel)| async move {
        let mut channel: PubSub = match channel {
            Some(open) => open,
            None => {
                let opened = open(&shared).await;
                return Some((News::Missed, (shared, Some(opened))));
            }
        };
        let news = next(&shared, &mut channel).await;
        let channel = (news != News::Missed).then_some(channel);
        Some((news, (shared, channel)))
    })
    .boxed()
}

/// Opens the channel, however long that takes.
async fn open(shared: &Shared) -> PubSub {
    let subscribed = || async {
        let mut channel = shared.link.client().await?.get_async_pubsub().await?;
        channel.subscribe(shared.keys.named("news")).await?;
        RedisResult::Ok(channel)
    };
    loop {
        if let Ok(Ok(channel)) = timeout(SILENCE_MAX, subscribed()).await {
            return channel;
        }
        sleep(WAIT).await;
    }
}

/// The next word of another server; [`News::Missed`] if the channel is gone.
async fn next(shared: &Shared, channel: &mut PubSub) -> News {
    loop {
        let heard = timeout(SILENCE_MAX, channel.on_message().next()).await;
        match heard {
            Ok(Some(message)) => {
                let text = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
                if let Some(changed) = parse(&text, shared.owner().0) {
                    return News::Changed(changed);
                }
            }
            Ok(None) => return News::Missed,
            Err(_) => {
                let answered = timeout(SILENCE_MAX, channel.ping::<redis::Value>()).await;
                if !matches!(answered, Ok(Ok(_))) {
                    return News::Missed;
                }
            }
        }
    }
}

/// Reads `server id model place attempt`; `None` for what this server told itself.
fn parse(text: &str, me: u64) -> Option<Changed> {
    let mut words = text.split(' ');
    if words.next()?.parse() == Ok(me) {
        return None;
    }
    Some(Changed {
        id: words.next()?.parse().ok()?,
        model: words.next()?.parse().ok()?,
        place: Place::from_code(words.next()?.parse().ok()?)?,
        attempt: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use types::Priority;

    use super::*;

    #[test]
    fn a_word_of_another_server_is_understood_and_ones_own_is_not_heard() {
        let text = "7 0198c0de-7b1a-7f00-8000-3f1f6e0c2a11 local:echo 1 3";
        let told = parse(text, 8).unwrap();
        assert_eq!((told.model.as_str(), told.attempt), ("local:echo", 3));
        assert_eq!(told.place, Place::Ready(Priority::Normal));
        assert_eq!(parse(text, 7), None);
        assert_eq!(parse("what is this", 7), None);
    }
}
