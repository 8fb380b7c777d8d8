//! Asks a server for texts, token by token, from several clients at once, and notes when they come.
//!
//! One thread reads all connections: clients share the processors with what they measure, and one
//! that woke a thread for every token would count for more.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

/// What one read takes at most.
const READ_BYTES: usize = 64 * 1024;

/// A stream that brings nothing for so long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(120);

const EVENT: &[u8] = b"data: ";
const END: &[u8] = b"data: [DONE]";
const COUNT: &[u8] = b"\"completion_tokens\":";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The model's name.
    pub model: String,
    /// Clients at once, one text each.
    pub sequences: usize,
    /// Tokens of each prompt.
    pub input: usize,
    /// Tokens of each answer.
    pub output: usize,
    /// 0 takes the likeliest token.
    pub temperature: f64,
}

/// What one run took. The fields are those of `modelyard bench engine`.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// From the first request to the last token.
    pub wall_s: f64,
    /// All tokens of all answers, over the wall time.
    pub output_tokens_per_s: f64,
    /// Time to the first event, over the sequences.
    pub ttft_ms: Percentiles,
    /// Time between two events of a sequence.
    pub itl_ms: Percentiles,
    /// Processor time of the clients.
    pub client_cpu_s: f64,
}

/// Of times, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Percentiles {
    /// Half of them are shorter.
    pub p50: f64,
    /// 99 of a hundred are shorter.
    pub p99: f64,
}

/// Nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The system or the server broke off.
    #[error("the server cannot be asked")]
    Io(#[from] io::Error),
    /// It answered something else.
    #[error("not a stream of tokens: {0}")]
    Answer(String),
}

/// Sends all requests at once and follows each answer to its end.
///
/// # Errors
/// [`StreamError`] if any of the answers is not as long as was asked for.
pub fn run(ask: &Ask) -> Result<Run, StreamError> {
    let mut poll = Poll::new()?;
    let mut clients = Vec::with_capacity(ask.sequences);
    for number in 0..ask.sequences {
        clients.push(Client::open(ask, number, &poll)?);
    }
    let (begun, cpu_before) = (Instant::now(), cpu()?);
    for client in &mut clients {
        client.socket.write_all(&client.request)?;
    }
    let (mut events, mut buffer) = (Events::with_capacity(ask.sequences), vec![0; READ_BYTES]);
    let mut open = clients.len();
    while open > 0 {
        poll.poll(&mut events, Some(SILENCE_MAX))?;
        if events.is_empty() {
            return Err(StreamError::Answer("nothing comes any more".into()));
        }
        let now = begun.elapsed();
        for event in &events {
            let client = &mut clients[event.token().0];
            let was_open = !client.has_ended();
            client.read(&mut buffer, now)?;
            open -= usize::from(was_open && client.has_ended());
        }
    }
    figures(ask, &clients, cpu()? - cpu_before)
}

/// One stream.
struct Client {
    socket: TcpStream,
    request: Vec<u8>,
    /// All that came.
    answer: Vec<u8>,
    /// When events came, one entry for each read that brought some.
    events: Vec<Duration>,
    /// As the last event says.
    tokens: Option<usize>,
}

impl Client {
    /// Connects, and sends nothing yet.
    fn open(ask: &Ask, number: usize, poll: &Poll) -> Result<Self, StreamError> {
        // Connected before it is made non-blocking, so that all streams begin together.
        let socket = std::net::TcpStream::connect(ask.address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        poll.registry().register(&mut socket, Token(number), Interest::READABLE)?;
        let (answer, events) = (Vec::new(), Vec::with_capacity(ask.output));
        Ok(Self { socket, request: request(ask, number), answer, events, tokens: None })
    }

    fn has_ended(&self) -> bool {
        self.tokens.is_some()
    }

    fn read(&mut self, buffer: &mut [u8], now: Duration) -> Result<(), StreamError> {
        // A tag may be cut in two by the end of a read.
        let seen = self.answer.len().saturating_sub(END.len());
        loop {
            match self.socket.read(buffer) {
                Ok(0) if self.has_ended() => return Ok(()),
                Ok(0) => return Err(StreamError::Answer(text(&self.answer))),
                Ok(bytes) => self.answer.extend_from_slice(&buffer[..bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let fresh = &self.answer[seen..];
        if find(fresh, EVENT).is_some() && !self.has_ended() {
            self.events.push(now);
        }
        if find(fresh, END).is_some() {
            self.tokens = Some(count(&self.answer).unwrap_or(0));
        }
        Ok(())
    }
}

fn figures(ask: &Ask, clients: &[Client], client_cpu_s: f64) -> Result<Run, StreamError> {
    for client in clients {
        if client.tokens != Some(ask.output) {
            return Err(StreamError::Answer(text(&client.answer)));
        }
    }
    let wall_s = clients.iter().filter_map(|client| client.events.last()).max();
    let wall_s = wall_s.copied().unwrap_or_default().as_secs_f64();
    let firsts = clients.iter().filter_map(|client| client.events.first().copied());
    let gaps =
        clients.iter().flat_map(|client| client.events.windows(2).map(|two| two[1] - two[0]));
    Ok(Run {
        wall_s,
        output_tokens_per_s: (ask.sequences * ask.output) as f64 / wall_s,
        ttft_ms: Percentiles::of(firsts),
        itl_ms: Percentiles::of(gaps),
        client_cpu_s,
    })
}

impl Percentiles {
    /// By the nearest rank.
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<f64> = times.map(|time| time.as_secs_f64() * 1_000.0).collect();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * times.len() as f64).ceil() as usize;
            times.get(rank.max(1) - 1).copied().unwrap_or_default()
        };
        Self { p50: at(0.5), p99: at(0.99) }
    }
}

/// A request for a text of a certain length. The prompts are those of `modelyard bench engine`: the
/// same in every run, others for every client.
fn request(ask: &Ask, number: usize) -> Vec<u8> {
    let token = |place: usize| (300 + (place + number * 131) * 7919 % 10_700).to_string();
    let prompt: Vec<String> = (0..ask.input).map(token).collect();
    let body = format!(
        "{{\"model\":\"{}\",\"prompt\":[{}],\"max_tokens\":{},\"ignore_eos\":true,\"temperature\":{},\
         \"seed\":1,\"stream\":true,\"stream_options\":{{\"include_usage\":true}}}}",
        ask.model,
        prompt.join(","),
        ask.output,
        ask.temperature,
    );
    let address = ask.address;
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head, body].concat().into_bytes()
}

/// The number of tokens that the last event tells.
fn count(answer: &[u8]) -> Option<usize> {
    let start = answer.windows(COUNT.len()).rposition(|window| window == COUNT)? + COUNT.len();
    let digits = answer[start..].iter().take_while(|byte| byte.is_ascii_digit());
    std::str::from_utf8(&answer[start..start + digits.count()]).ok()?.parse().ok()
}

fn find(bytes: &[u8], tag: &[u8]) -> Option<usize> {
    bytes.windows(tag.len()).position(|window| window == tag)
}

/// The end of what came, for a person who must find out what is wrong.
fn text(answer: &[u8]) -> String {
    String::from_utf8_lossy(&answer[answer.len().saturating_sub(400)..]).into_owned()
}

/// Processor time of this process.
fn cpu() -> io::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_count_is_the_one_that_counts() {
        let answer = b"{\"completion_tokens\":7} {\"completion_tokens\":128,\"x\":1}";
        assert_eq!(count(answer), Some(128));
        assert_eq!(count(b"nothing"), None);
    }

    #[test]
    fn a_request_is_whole_and_other_clients_ask_other_things() {
        let address = ([127, 0, 0, 1], 9).into();
        let (model, temperature) = ("m".to_owned(), 0.5);
        let ask = Ask { address, model, sequences: 2, input: 3, output: 4, temperature };
        let first = String::from_utf8(request(&ask, 0)).unwrap();
        let (head, body) = first.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["prompt"], serde_json::json!([300, 8219, 5438]));
        assert_eq!((&body["max_tokens"], &body["temperature"]), (&4.into(), &0.5.into()));
        assert_ne!(first.into_bytes(), request(&ask, 1));
    }
}
