//! Where a user's file lies: from `gmifs://a/b` to a place beneath the user's folder. Pure.

use std::fmt;

use crate::error::{Error, Kind, Result};

/// What every path of the user may begin with.
pub const PROTOCOL: &str = "gmifs://";

/// The folder of one user on the server: `/{pid}/{fs_name}/{oid}/{uid}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(Vec<String>);

impl Home {
    /// The folder made of these names, outermost first.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if a name is empty, `.`, `..`, or has a slash or a NUL byte: then it
    /// would be another user's folder.
    pub fn new<S: AsRef<str>>(names: &[S]) -> Result<Self> {
        let names = names.iter().map(|name| plain_name(name.as_ref()));
        Ok(Self(names.collect::<Result<_>>()?))
    }

    /// The names, outermost first.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The place that a user's path means. A leading slash is the user's folder, as is
    /// `gmifs://`; `.` and `..` are worked out on the text.
    ///
    /// # Errors
    /// [`Kind::Outside`] if the path leads out of the folder, [`Kind::Invalid`] if it has a NUL.
    pub fn place(&self, path: &str) -> Result<Place> {
        let rest = path.strip_prefix(PROTOCOL).unwrap_or(path);
        if rest.contains('\0') {
            return Err(Error::new(Kind::Invalid, "a path cannot have a NUL byte"));
        }
        self.beneath(&self.0, rest).ok_or_else(|| Error::outside(rest))
    }

    /// Where a link leads that lies in the folder `within`; `None` if it leads out.
    ///
    /// An absolute link counts from the root of what the server exports, as the server means it.
    pub(crate) fn follow(&self, within: &[String], target: &str) -> Option<Place> {
        if target.starts_with('/') {
            return self.beneath(&[], target);
        }
        let at: Vec<String> = self.0.iter().chain(within).cloned().collect();
        self.beneath(&at, target)
    }

    fn beneath(&self, from: &[String], path: &str) -> Option<Place> {
        let mut names = from.to_vec();
        for name in path.split('/') {
            match name {
                "" | "." => {}
                ".." => {
                    names.pop()?;
                }
                name => names.push(name.to_owned()),
            }
        }
        names.starts_with(&self.0).then(|| Place(names.split_off(self.0.len())))
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0.join("/"))
    }
}

/// A place beneath the user's folder: plain names, none of them `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(Vec<String>);

impl Place {
    /// The names, outermost first; none for the user's folder itself.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The folder that it is in, and its name; `None` for the user's folder itself.
    pub fn split(&self) -> Option<(Self, &str)> {
        let (name, folder) = self.0.split_last()?;
        Some((Self(folder.to_vec()), name))
    }

    /// The same place seen by the operating system, relative to the user's folder.
    pub(crate) fn relative(&self) -> String {
        if self.0.is_empty() { ".".to_owned() } else { self.0.join("/") }
    }

    /// The entry of this name in it.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    /// Itself and the folders around it, the outermost first, without the user's folder.
    pub fn prefixes(&self) -> impl Iterator<Item = Self> {
        (1..=self.0.len()).map(|end| Self(self.0[..end].to_vec()))
    }

    /// Whether it lies in `other`, at any depth.
    pub fn is_in(&self, other: &Self) -> bool {
        self.0.len() > other.0.len() && self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

fn plain_name(name: &str) -> Result<String> {
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        let detail = format!("{name:?} cannot be part of a user's folder: set a plain name");
        return Err(Error::new(Kind::Invalid, detail));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests;
