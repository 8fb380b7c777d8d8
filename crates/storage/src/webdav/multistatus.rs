//! The answer to PROPFIND: what lies where.

use std::time::UNIX_EPOCH;

use percent_encoding::percent_decode_str;
use quick_xml::{Reader, events::Event};

use crate::{
    backend::{EntryKind, Meta},
    error::{Error, Kind, Result},
};

/// What we want to know.
pub(super) const QUESTION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
    <D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/><D:getcontentlength/>\
    <D:getlastmodified/></D:prop></D:propfind>";

/// An entry that the server described.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Its path on the server, decoded, without a slash at the end.
    pub(super) path: String,
    /// Its size is 0 where the server did not say it.
    pub(super) meta: Meta,
    /// Whether the server said how long it is, as it need not for a file that it makes on demand.
    pub(super) sized: bool,
}

#[derive(Debug, Default)]
struct Response {
    href: String,
    folder: bool,
    size: Option<u64>,
    modified: f64,
}

/// Reads a multistatus body. Unknown elements are passed over; prefixes do not matter.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Found>> {
    let wrong = |why: String| {
        Error::new(Kind::Io, format!("the WebDAV server's listing cannot be read: {why}"))
    };
    let body = std::str::from_utf8(body).map_err(|error| wrong(error.to_string()))?;
    let mut reader = Reader::from_str(body);
    let mut found = Vec::new();
    let mut response = Response::default();
    let mut text = String::new();
    loop {
        match reader.read_event().map_err(|error| wrong(error.to_string()))? {
            Event::Start(tag) => {
                text.clear();
                match tag.local_name().as_ref() {
                    "response" => response = Response::default(),
                    "collection" => response.folder = true,
                    _ => {}
                }
            }
            Event::Empty(tag) if tag.local_name().as_ref() == "collection" => {
                response.folder = true;
            }
            Event::Text(piece) => {
                text.push_str(&piece.xml10_content());
            }
            Event::GeneralRef(name) => {
                text.push(reference(&name).ok_or_else(|| wrong("an unknown entity".into()))?);
            }
            Event::CData(piece) => {
                text.push_str(&piece.xml10_content());
            }
            Event::End(tag) => match tag.local_name().as_ref() {
                "href" if response.href.is_empty() => text.trim().clone_into(&mut response.href),
                "getcontentlength" => response.size = text.trim().parse().ok(),
                "getlastmodified" => response.modified = seconds(text.trim()),
                "response" => found.extend(std::mem::take(&mut response).into_found()),
                _ => {}
            },
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

fn reference(name: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = name.resolve_char_ref() {
        return Some(character);
    }
    match &**name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

impl Response {
    fn into_found(self) -> Option<Found> {
        // An address may be whole or only its path.
        let path = match self.href.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            None => self.href.as_str(),
        };
        let path = percent_decode_str(path.trim_end_matches('/')).decode_utf8().ok()?;
        let (kind, permissions) = match self.folder {
            true => (EntryKind::Directory, 0o755),
            false => (EntryKind::File, 0o644),
        };
        let size = if self.folder { 0 } else { self.size.unwrap_or(0) };
        let meta = Meta {
            kind,
            size,
            permissions,
            uid: 0,
            gid: 0,
            inode: 0,
            device: 0,
            links: 1,
            used: size,
            accessed: self.modified,
            modified: self.modified,
            changed: self.modified,
        };
        Some(Found { path: path.into_owned(), meta, sized: self.folder || self.size.is_some() })
    }
}

fn seconds(date: &str) -> f64 {
    let time = httpdate::parse_http_date(date).ok();
    time.and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folders_files_dates_and_entities_are_read_whatever_the_prefix() {
        let body = br#"<?xml version="1.0"?><multistatus xmlns="DAV:">
            <response><href>/a/</href><propstat><prop><resourcetype><collection/></resourcetype>
            </prop></propstat></response>
            <x:response xmlns:x="DAV:"><x:href>http://h:1/a/b%20&amp;c.txt</x:href><x:propstat>
            <x:prop><x:resourcetype/><x:getcontentlength>12</x:getcontentlength>
            <x:getlastmodified>Thu, 01 Jan 1970 00:01:00 GMT</x:getlastmodified></x:prop>
            </x:propstat></x:response></multistatus>"#;
        let found = parse(body).expect("a listing");
        assert_eq!((found[0].path.as_str(), found[0].meta.kind), ("/a", EntryKind::Directory));
        assert_eq!((found[1].path.as_str(), found[1].meta.kind), ("/a/b &c.txt", EntryKind::File));
        assert_eq!((found[1].meta.size, found[1].meta.modified), (12, 60.0));
    }

    #[test]
    fn a_broken_listing_is_an_error() {
        assert!(parse(b"<multistatus><response></multistatus>").is_err());
    }

    proptest! {
        #[test]
        fn no_listing_makes_it_panic(body in "[<>/a&;:= \"\\-!\\[\\]]{0,200}") {
            let _ = parse(body.as_bytes());
        }
    }
}
