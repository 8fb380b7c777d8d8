//! Server-sent events.

use std::{borrow::Cow, fmt::Write, future::Future, time::Duration};

use api::{Body, Problem};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use types::Fault;

use crate::feed::{self, Gone, PieceSender, Style};

/// Quiet after which a comment is sent, well below the 30 to 60 seconds after which proxies give
/// a connection up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Event {
    data: Cow<'static, str>,
    name: Option<Cow<'static, str>>,
    id: Option<Cow<'static, str>>,
    retry: Option<Duration>,
}

impl Event {
    /// An event with that text, of any number of lines.
    pub fn data(text: impl Into<Cow<'static, str>>) -> Self {
        Self { data: text.into(), ..Self::default() }
    }

    /// Names the kind of the event.
    pub fn event(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Lets a reader that comes back say what it saw last.
    pub fn id(mut self, id: impl Into<Cow<'static, str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// How long a reader should wait before it comes back.
    pub fn retry(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }

    /// The event on the wire.
    pub fn to_bytes(&self) -> Bytes {
        let mut text = String::with_capacity(self.data.len() + 16);
        let mut line = |field: &str, value: &str| {
            for part in [field, ": ", value, "\n"] {
                text.push_str(part);
            }
        };
        // A line break would end the field, so these two are cut there.
        if let Some(name) = &self.name {
            line("event", first_line(name));
        }
        if let Some(id) = &self.id {
            line("id", first_line(id));
        }
        for data in lines(&self.data) {
            line("data", data);
        }
        if let Some(retry) = self.retry {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "retry: {}", retry.as_millis());
        }
        text.push('\n');
        text.into()
    }
}

/// Lines as the format sees them: they end with CR LF, LF or CR.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

fn first_line(text: &str) -> &str {
    text.split(['\r', '\n']).next().unwrap_or_default()
}

/// Sends events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventSender(PieceSender);

impl EventSender {
    /// Sends an event; waits while the client does not read.
    ///
    /// # Errors
    /// [`Gone`] if the client left.
    ///
    /// # Cancel safety
    /// Dropping it before it is done sends nothing.
    pub async fn send(&self, event: &Event) -> Result<(), Gone> {
        self.0.send(event.to_bytes()).await
    }

    /// As [`Self::send`], for a thread that may block; not for asynchronous code.
    ///
    /// # Errors
    /// [`Gone`] if the client left.
    pub fn blocking_send(&self, event: &Event) -> Result<(), Gone> {
        self.0.blocking_send(event.to_bytes())
    }
}

/// An answer whose events come from a future that runs while the client reads, and is dropped when
/// it leaves. A fault becomes a last event `error` with the problem as its data. At most
/// `waiting_max` events wait for the client.
pub fn respond<A>(waiting_max: usize, produce: impl FnOnce(EventSender) -> A) -> Response<Body>
where
    A: Future<Output = Result<(), Fault>> + Send + 'static,
{
    response(feed::produced(style(waiting_max), |sender| produce(EventSender(sender))))
}

/// An answer whose events come from elsewhere, for example from a thread. It ends when every sender
/// is gone.
pub fn channel(waiting_max: usize) -> (EventSender, Response<Body>) {
    let (sender, body) = feed::channel(style(waiting_max));
    (EventSender(sender), response(body))
}

/// The event that tells a fault.
pub fn fault_event(fault: &Fault) -> Event {
    // Strings and numbers always serialise.
    Event::data(serde_json::to_string(&Problem::new(fault, "")).unwrap_or_default()).event("error")
}

/// The head of an answer of events around its body.
pub fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn style(waiting_max: usize) -> Style {
    Style {
        waiting_max,
        keep_alive: Some((KEEP_ALIVE, Bytes::from_static(b": keep-alive\n\n"))),
        fault: |fault| fault_event(fault).to_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &Event, wire: &str) {
        assert_eq!(event.to_bytes(), wire);
    }

    #[test]
    fn an_event_is_framed_field_by_field() {
        check(&Event::data("hi"), "data: hi\n\n");
        check(
            &Event::data("hi").event("greeting").id("7").retry(Duration::from_millis(1_500)),
            "event: greeting\nid: 7\ndata: hi\nretry: 1500\n\n",
        );
    }

    #[test]
    fn every_line_of_the_data_has_its_field() {
        check(&Event::data("a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
        check(&Event::data(""), "data: \n\n");
    }

    #[test]
    fn a_line_break_cannot_forge_a_field() {
        check(
            &Event::data("x").event("a\ndata: forged").id("1\r2"),
            "event: a\nid: 1\ndata: x\n\n",
        );
    }
}
