//! Where one HTTP/1.1 message ends in the bytes that have come. Nothing else is read of it: an
//! instrument that shares the processor with what it measures must cost little.

use httparse::{EMPTY_HEADER, Header, Status};

/// Headers of one message. Servers send fewer than ten.
const HEADERS_MAX: usize = 64;

/// An answer that has come whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Its length, head and body, in bytes.
    pub bytes: usize,
    /// Its HTTP status.
    pub status: u16,
    /// Whether the server takes another request on this connection.
    pub keeps_open: bool,
}

/// The bytes are not a message of HTTP/1.1 whose end can be known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an HTTP/1.1 message with a known end: {0}")]
pub struct Malformed(&'static str);

/// The answer at the beginning of `buffer`; `None` while a part of it is missing.
///
/// # Errors
/// [`Malformed`] for what is no answer, or one that only the end of the connection ends.
pub fn answer(buffer: &[u8]) -> Result<Option<Answer>, Malformed> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let Status::Complete(head_bytes) = head.parse(buffer).map_err(bad_head)? else {
        return Ok(None);
    };
    let status = head.code.unwrap_or_default();
    let keeps_open = !says(head.headers, "connection", "close");
    let body = match body(head.headers)? {
        Some(body) => body,
        None if matches!(status, 204 | 304) => Body::Counted(0),
        None => return Err(Malformed("neither a length nor chunks")),
    };
    let end = body.end(buffer, head_bytes)?;
    Ok(end.map(|bytes| Answer { bytes, status, keeps_open }))
}

/// Length in bytes of the request at the beginning of `buffer`; `None` while a part is missing.
///
/// # Errors
/// [`Malformed`] for what is no request.
pub fn request(buffer: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let Status::Complete(head_bytes) = head.parse(buffer).map_err(bad_head)? else {
        return Ok(None);
    };
    body(head.headers)?.unwrap_or(Body::Counted(0)).end(buffer, head_bytes)
}

/// How a body says where it ends.
enum Body {
    /// After so many bytes.
    Counted(usize),
    /// After its last chunk.
    Chunked,
}

impl Body {
    /// Where it ends in `buffer`, if it begins at `from`.
    fn end(&self, buffer: &[u8], from: usize) -> Result<Option<usize>, Malformed> {
        match self {
            Self::Counted(bytes) => Ok(Some(from + bytes).filter(|end| *end <= buffer.len())),
            Self::Chunked => chunks_end(buffer, from),
        }
    }
}

fn body(headers: &[Header<'_>]) -> Result<Option<Body>, Malformed> {
    if says(headers, "transfer-encoding", "chunked") {
        return Ok(Some(Body::Chunked));
    }
    let Some(length) = value(headers, "content-length") else { return Ok(None) };
    let length = std::str::from_utf8(length).ok().and_then(|text| text.trim().parse().ok());
    length.map(|bytes| Some(Body::Counted(bytes))).ok_or(Malformed("a length that is no number"))
}

fn chunks_end(buffer: &[u8], mut from: usize) -> Result<Option<usize>, Malformed> {
    loop {
        let rest = buffer.get(from..).unwrap_or_default();
        let size = httparse::parse_chunk_size(rest).map_err(|_| Malformed("a chunk of no size"))?;
        let Status::Complete((opening, size)) = size else { return Ok(None) };
        from += opening;
        if size == 0 {
            return Ok(trailers_end(buffer, from));
        }
        let size = usize::try_from(size).map_err(|_| Malformed("a chunk of no end"))?;
        from = from.saturating_add(size).saturating_add(CRLF.len());
    }
}

const CRLF: &[u8] = b"\r\n";

/// After the last chunk comes an empty line, perhaps with trailers before it.
fn trailers_end(buffer: &[u8], from: usize) -> Option<usize> {
    let rest = buffer.get(from..)?;
    if rest.starts_with(CRLF) {
        return Some(from + CRLF.len());
    }
    let end = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(from + end + 4)
}

fn value<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

fn says(headers: &[Header<'_>], name: &str, word: &str) -> bool {
    value(headers, name).is_some_and(|value| value.eq_ignore_ascii_case(word.as_bytes()))
}

fn bad_head(_: httparse::Error) -> Malformed {
    Malformed("the head cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const CHUNKED: &str =
        "HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";

    #[test]
    fn an_answer_is_whole_with_its_last_byte_and_not_before() {
        for text in [COUNTED, CHUNKED] {
            for part in 0..text.len() {
                assert_eq!(answer(&text.as_bytes()[..part]), Ok(None), "{part} bytes of {text:?}");
            }
            let whole = answer(text.as_bytes()).unwrap().unwrap();
            assert_eq!(whole.bytes, text.len());
        }
    }

    #[test]
    fn what_comes_after_an_answer_is_not_part_of_it() {
        let two = [COUNTED, CHUNKED].concat();
        let first = answer(two.as_bytes()).unwrap().unwrap();
        assert_eq!(first, Answer { bytes: COUNTED.len(), status: 200, keeps_open: true });
        let second = answer(&two.as_bytes()[first.bytes..]).unwrap().unwrap();
        assert_eq!(second, Answer { bytes: CHUNKED.len(), status: 500, keeps_open: true });
    }

    #[test]
    fn a_server_may_say_that_it_closes() {
        let text = b"HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n";
        assert!(!answer(text).unwrap().unwrap().keeps_open);
    }

    #[test]
    fn trailers_belong_to_the_answer() {
        let text = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\r\n\r\nnext";
        assert_eq!(answer(text).unwrap().unwrap().bytes, text.len() - "next".len());
    }

    #[test]
    fn a_request_without_a_length_has_no_body() {
        assert_eq!(request(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Ok(Some(27)));
        assert_eq!(request(b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody"), Ok(Some(42)));
        assert_eq!(request(b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nbo"), Ok(None));
    }

    #[test]
    fn an_answer_that_never_says_its_end_is_refused() {
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(answer(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n").is_err());
        assert!(answer(b"nonsense\r\n\r\n").is_err());
        assert_eq!(
            answer(b"HTTP/1.1 204 No\r\n\r\n").unwrap().map(|answer| answer.status),
            Some(204)
        );
    }
}
