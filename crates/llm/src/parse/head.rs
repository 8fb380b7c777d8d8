//! The beginning of a call, up to its arguments.

/// A head that is longer is none.
const HEAD_BYTES_MAX: usize = 4096;

/// What the text so far begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// More text will tell.
    Incomplete,
    /// Not `{"name": "…", "arguments": {`, with blank space anywhere.
    Unusual,
    /// That, and the arguments begin `at` this byte.
    Arguments { name: String, at: usize },
}

pub(super) fn read_head(text: &str) -> Head {
    let mut reader = Reader { text, at: 0 };
    match reader.head() {
        Ok(name) => Head::Arguments { name, at: reader.at },
        Err(Stop::Other) => Head::Unusual,
        Err(Stop::End) if text.len() >= HEAD_BYTES_MAX => Head::Unusual,
        Err(Stop::End) => Head::Incomplete,
    }
}

/// Why reading stopped.
enum Stop {
    /// At the end of the text.
    End,
    /// At something else than expected.
    Other,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn head(&mut self) -> Result<String, Stop> {
        self.byte(b'{')?;
        self.key(&["name"])?;
        let name = self.string()?;
        self.byte(b',')?;
        self.key(&["arguments", "parameters"])?;
        if self.peek()? == b'{' && self.at < HEAD_BYTES_MAX { Ok(name) } else { Err(Stop::Other) }
    }

    fn key(&mut self, names: &[&str]) -> Result<(), Stop> {
        let key = self.string()?;
        self.byte(b':')?;
        if names.contains(&key.as_str()) { Ok(()) } else { Err(Stop::Other) }
    }

    /// The next byte that is not blank.
    fn peek(&mut self) -> Result<u8, Stop> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text.as_bytes().get(self.at).copied().ok_or(Stop::End)
    }

    fn byte(&mut self, expected: u8) -> Result<(), Stop> {
        if self.peek()? != expected {
            return Err(Stop::Other);
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<String, Stop> {
        if self.peek()? != b'"' {
            return Err(Stop::Other);
        }
        let rest = &self.text[self.at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        match values.next() {
            Some(Ok(value)) => {
                self.at += values.byte_offset();
                Ok(value)
            }
            Some(Err(error)) if !error.is_eof() => Err(Stop::Other),
            _ => Err(Stop::End),
        }
    }
}
