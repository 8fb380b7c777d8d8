//! Paths with holes, for example `/files/{name}.json`.
//!
//! The notation is Starlette's: `{name}` takes text without a slash, `{name:path}` takes anything,
//! `{name:int}` digits, `{name:float}` digits with a fraction.

use std::sync::Arc;

/// What a hole takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Text without a slash.
    Text,
    /// Any text, slashes included; may be empty.
    Path,
    /// Digits.
    Int,
    /// Digits, with or without a fraction.
    Float,
}

/// What a hole took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathParam {
    /// Name of the hole.
    pub name: Arc<str>,
    /// What the hole takes.
    pub kind: ParamKind,
    /// What stood there, decoded.
    pub text: String,
}

/// What the holes of a path took, in their order. Kept with the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PathParams(pub(crate) Vec<PathParam>);

enum Piece {
    Literal(String),
    Hole { name: Arc<str>, kind: ParamKind },
}

/// A path with at least one hole.
pub(crate) struct PathTemplate(Vec<Piece>);

impl PathTemplate {
    /// Reads a path; `None` if it has no holes.
    ///
    /// # Errors
    /// What to change.
    pub(crate) fn parse(path: &str) -> Result<Option<Self>, &'static str> {
        let (mut pieces, mut rest) = (Vec::new(), path);
        while let Some((literal, tail)) = rest.split_once('{') {
            let Some((inside, tail)) = tail.split_once('}') else {
                return Err("close the brace of each `{parameter}`");
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.into()));
            }
            pieces.push(hole(inside)?);
            rest = tail;
        }
        if pieces.is_empty() {
            return Ok(None);
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.into()));
        }
        Ok(Some(Self(pieces)))
    }

    /// What the holes take of `path`; `None` if it does not fit.
    pub(crate) fn matches(&self, path: &str) -> Option<PathParams> {
        let mut params = Vec::new();
        fit(&self.0, path, &mut params).then_some(PathParams(params))
    }
}

fn hole(inside: &str) -> Result<Piece, &'static str> {
    let (name, kind) = inside.split_once(':').unwrap_or((inside, "str"));
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() || !is_name {
        return Err("name each parameter with letters, digits and underscores: `{name}`");
    }
    let kind = match kind {
        // A UUID is told as text; it takes no slash either.
        "str" | "uuid" => ParamKind::Text,
        "path" => ParamKind::Path,
        "int" => ParamKind::Int,
        "float" => ParamKind::Float,
        _ => return Err("a parameter is of kind str, path, int, float or uuid"),
    };
    Ok(Piece::Hole { name: name.into(), kind })
}

/// Fits pieces to a path, each hole as long as it can be; what was taken goes into `params`.
fn fit(pieces: &[Piece], path: &str, params: &mut Vec<PathParam>) -> bool {
    let Some((piece, others)) = pieces.split_first() else { return path.is_empty() };
    match piece {
        Piece::Literal(literal) => {
            path.strip_prefix(literal.as_str()).is_some_and(|rest| fit(others, rest, params))
        }
        Piece::Hole { name, kind } => {
            let mut end = kind.reach(path);
            loop {
                if path.is_char_boundary(end) && kind.takes(&path[..end]) {
                    let (text, rest) = path.split_at(end);
                    params.push(PathParam { name: name.clone(), kind: *kind, text: text.into() });
                    if fit(others, rest, params) {
                        return true;
                    }
                    params.pop();
                }
                if end == 0 {
                    return false;
                }
                end -= 1;
            }
        }
    }
}

impl ParamKind {
    /// The most that a hole could take of the beginning of `path`, in bytes.
    fn reach(self, path: &str) -> usize {
        let stops = |byte: u8| match self {
            Self::Path => false,
            Self::Text => byte == b'/',
            Self::Int => !byte.is_ascii_digit(),
            Self::Float => !byte.is_ascii_digit() && byte != b'.',
        };
        path.bytes().position(stops).unwrap_or(path.len())
    }

    fn takes(self, text: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::Path => true,
            Self::Text => !text.is_empty(),
            Self::Int => digits(text),
            Self::Float => match text.split_once('.') {
                None => digits(text),
                Some((whole, fraction)) => digits(whole) && digits(fraction),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, path: &str, expected: Option<&[&str]>) {
        let template = PathTemplate::parse(template).unwrap().unwrap();
        let taken = template.matches(path);
        let taken: Option<Vec<_>> =
            taken.as_ref().map(|p| p.0.iter().map(|param| param.text.as_str()).collect());
        assert_eq!(taken.as_deref(), expected);
    }

    #[test]
    fn a_hole_takes_one_part_of_the_path() {
        check("/a/{x}", "/a/b", Some(&["b"]));
        check("/a/{x}", "/a/", None);
        check("/a/{x}", "/a/b/c", None);
        check("/a/{x}/c", "/a/b/c", Some(&["b"]));
        check("/{x}-{y}.json", "/a-b-c.json", Some(&["a-b", "c"]));
        check("/{x}", "/你好", Some(&["你好"]));
    }

    #[test]
    fn a_path_takes_slashes_and_may_be_empty() {
        check("/files/{rest:path}", "/files/a/b.txt", Some(&["a/b.txt"]));
        check("/files/{rest:path}", "/files/", Some(&[""]));
        check("/{rest:path}/end", "/a/end/end", Some(&["a/end"]));
    }

    #[test]
    fn numbers_take_digits_only() {
        check("/{n:int}", "/12", Some(&["12"]));
        check("/{n:int}", "/1x", None);
        check("/{n:float}", "/1.5", Some(&["1.5"]));
        check("/{n:float}", "/1.", None);
        check("/{n:int}.{ext}", "/12.txt", Some(&["12", "txt"]));
    }

    #[test]
    fn a_template_that_makes_no_sense_is_told_how_to_mend_it() {
        for (path, fix) in
            [("/{x", "close the brace"), ("/{}", "name each"), ("/{x:word}", "is of kind")]
        {
            let told = PathTemplate::parse(path).err().unwrap();
            assert!(told.contains(fix), "{told}");
        }
        assert!(PathTemplate::parse("/plain").unwrap().is_none());
    }
}
