//! From a place to a handle: one LOOKUP per name, each in the handle of the folder before, so
//! that nobody can swap a folder for a link under our feet. The server never sees `..`, and never
//! follows a link for us.

use std::collections::VecDeque;

use bytes::Bytes;
use nfs_rs::ObjRes;

use super::{Session, attributes, failure::Failure, is_absent};
use crate::{
    backend::EntryKind,
    error::{Error, Kind},
    place::{Home, Place},
};

/// As many links on one path as Linux follows.
const LINKS_MAX: usize = 40;

/// What to do with a link at the end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Keep,
}

/// Where a walk ended.
#[derive(Debug, Clone)]
pub(super) struct Walked {
    /// The handle of the folder and the name in it; `None` for the user's folder itself.
    entry: Option<(Bytes, String)>,
    /// What is there, if anything.
    pub(super) object: Option<ObjRes>,
    /// The place with all links followed.
    pub(super) place: Place,
}

impl Walked {
    /// What is there.
    pub(super) fn there(&self) -> Result<ObjRes, Error> {
        let missing = || Error::new(Kind::NotFound, "no such file or folder");
        self.object.clone().ok_or_else(missing)
    }

    /// Folder and name.
    pub(super) fn named(&self) -> Result<(Bytes, String), Error> {
        let home = || Error::new(Kind::IsADirectory, "is the user's own folder");
        self.entry.clone().ok_or_else(home)
    }

    /// Folder and name, if nothing is there yet.
    pub(super) fn absent(&self) -> Result<(Bytes, String), Error> {
        if self.object.is_some() {
            return Err(Error::new(Kind::AlreadyExists, "exists already"));
        }
        self.named()
    }
}

/// Walks from the user's folder to a place. That the last name is absent is no failure.
pub(super) async fn walk(
    session: &Session,
    home: &Home,
    place: &Place,
    last: Last,
) -> Result<Walked, Failure> {
    let root = session.home(home).await?;
    let mut ahead: VecDeque<String> = place.names().iter().cloned().collect();
    let mut behind: Vec<(String, Bytes)> = Vec::new();
    let mut links = 0;
    let here = |behind: &[(String, Bytes)]| {
        behind.last().map_or_else(|| root.clone(), |(_, handle)| handle.clone())
    };
    let names = |behind: &[(String, Bytes)]| -> Vec<String> {
        behind.iter().map(|(name, _)| name.clone()).collect()
    };
    while let Some(name) = ahead.pop_front() {
        let folder = here(&behind);
        let end = |object| {
            let place = home.follow(&names(&behind), &name);
            let place = place.ok_or_else(|| Error::outside(&name))?;
            Ok(Walked { entry: Some((folder.clone(), name.clone())), object, place })
        };
        let object = match session.mount().lookup(folder.clone(), &name).await {
            Ok(object) => object,
            Err(error) if is_absent(&error) && ahead.is_empty() => return end(None),
            Err(error) => return Err(error.into()),
        };
        match attributes(session, &object).await?.kind {
            EntryKind::Link if !ahead.is_empty() || last == Last::Follow => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Error::new(Kind::TooManyLinks, "too many links").into());
                }
                let target = session.mount().readlink(object.fh).await?;
                let place = home.follow(&names(&behind), &target);
                let place = place.ok_or_else(|| Error::outside(&name))?;
                let rest = std::mem::take(&mut ahead);
                ahead = place.names().iter().cloned().chain(rest).collect();
                behind.clear();
            }
            _ if ahead.is_empty() => return end(Some(object)),
            EntryKind::Directory => behind.push((name, object.fh)),
            _ => {
                let detail = format!("{name} is not a folder");
                return Err(Error::new(Kind::NotADirectory, detail).into());
            }
        }
    }
    // The user's folder, or a link to a folder around the last name.
    let handle = here(&behind);
    let attr = session.mount().getattr(handle.clone()).await?;
    let names = names(&behind);
    let place = home.follow(&[], &names.join("/")).ok_or_else(|| Error::outside(""))?;
    Ok(Walked { entry: None, object: Some(ObjRes { fh: handle, attr: Some(attr) }), place })
}
