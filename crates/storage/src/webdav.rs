//! A user's folder on a WebDAV server. Files are read in ranges; the protocol has no writing in
//! ranges, so what is written is kept in a nameless file here and sent whole.
//!
//! WebDAV shows no links: one that the server follows on its own disk cannot be seen from here.

mod client;
mod file;
mod multistatus;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use self::{
    client::{Ask, Client},
    file::{Start, WebDavFile},
    multistatus::Found,
};
use crate::{
    backend::{Access, Backend, Chunks, Create, Entry, EntryKind, Meta, Opened},
    error::{Error, Kind, Result},
    place::{Home, Place},
};

/// Which server, and how it is spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct WebDavSettings {
    /// `http://` or `https://`, with a path if files do not lie at its root.
    pub url: String,
    /// The user for basic authentication; empty for none.
    pub user: String,
    /// The password.
    pub password: String,
    /// Within this time an answer must begin, and each piece of it arrive.
    pub timeout: Duration,
    /// The most that is read in one request.
    pub chunks: Chunks,
}

impl std::fmt::Debug for WebDavSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebDavSettings").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A user's folder on a WebDAV server.
#[derive(Debug)]
pub struct WebDav {
    client: Arc<Client>,
    home: Home,
    chunks: Chunks,
}

const DEPTH: HeaderName = HeaderName::from_static("depth");
const DESTINATION: HeaderName = HeaderName::from_static("destination");
const OVERWRITE: HeaderName = HeaderName::from_static("overwrite");

impl WebDav {
    /// Over a server; nothing is sent yet.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an address that is none.
    pub fn new(settings: &WebDavSettings, home: Home) -> Result<Self> {
        let chunks = settings.chunks;
        Ok(Self { client: Arc::new(Client::new(settings)?), home, chunks })
    }

    fn path(&self, place: &Place) -> String {
        let names = self.home.names().iter().chain(place.names());
        names.fold(String::new(), |path, name| path + "/" + name)
    }

    async fn find(&self, place: &Place, depth: &'static str) -> Result<Vec<Found>> {
        let path = self.path(place);
        let ask = Ask::new(method("PROPFIND")?, &path)
            .header(DEPTH, HeaderValue::from_static(depth))
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"))
            .body(multistatus::QUESTION);
        let answer = self.client.send(ask).await?;
        if answer.status() != StatusCode::MULTI_STATUS {
            return Err(refused(answer.status(), place));
        }
        multistatus::parse(&self.client.collect(answer).await?)
    }

    async fn describe(&self, place: &Place) -> Result<Found> {
        let found = self.find(place, "0").await?.into_iter().next();
        let nothing = || Error::new(Kind::Io, format!("{place}: the server described nothing"));
        found.ok_or_else(nothing)
    }

    async fn simple(&self, ask: Ask<'_>, place: &Place) -> Result<()> {
        let answer = self.client.send(ask).await?;
        let status = answer.status();
        // A 207 to MOVE, COPY or DELETE lists what did not work.
        if !status.is_success() || status == StatusCode::MULTI_STATUS {
            return Err(refused(status, place));
        }
        self.client.collect(answer).await?;
        Ok(())
    }

    /// Why a name could not be made.
    async fn taken(&self, place: &Place) -> Error {
        match self.stat(place, true).await {
            Ok(_) => Error::new(Kind::AlreadyExists, format!("{place}: exists already")),
            Err(error) => error,
        }
    }

    async fn kind(&self, place: &Place) -> Result<EntryKind> {
        Ok(self.stat(place, true).await?.kind)
    }

    async fn move_or_copy(&self, what: &str, from: &Place, to: &Place) -> Result<()> {
        let (path, target) = (self.path(from), self.client.address(&self.path(to)));
        let target = HeaderValue::try_from(target)
            .map_err(|_| Error::new(Kind::Invalid, format!("{to} does not fit into a header")))?;
        let ask = Ask::new(method(what)?, &path)
            .once()
            .header(DESTINATION, target)
            .header(OVERWRITE, HeaderValue::from_static("T"));
        self.simple(ask, from).await
    }
}

#[async_trait]
impl Backend for WebDav {
    fn name(&self) -> &'static str {
        "webdav"
    }

    async fn protocol(&self) -> String {
        "WebDAV".to_owned()
    }

    fn chunks(&self) -> Chunks {
        self.chunks
    }

    async fn open(&self, place: &Place, access: Access, create: Create) -> Result<Arc<dyn Opened>> {
        let known = match self.describe(place).await {
            Ok(found) if found.meta.kind == EntryKind::Directory => {
                return Err(Error::new(Kind::IsADirectory, format!("{place}: is a folder")));
            }
            Ok(_) if create == Create::Exclusive => {
                return Err(Error::new(Kind::AlreadyExists, format!("{place}: exists already")));
            }
            Ok(found) => Some(found),
            Err(error) if error.kind() == Kind::NotFound && create != Create::Never => None,
            Err(error) => return Err(error),
        };
        let path = self.path(place);
        if known.is_none() {
            let ask = Ask::new(Method::PUT, &path).body("");
            if create == Create::Exclusive {
                let any = HeaderValue::from_static("*");
                let ask = ask.once().header(header::IF_NONE_MATCH, any);
                if let Err(error) = self.simple(ask, place).await {
                    // Some servers say the same where the folder around it is missing.
                    let taken = error.kind() == Kind::AlreadyExists;
                    return Err(if taken { self.taken(place).await } else { error });
                }
            } else {
                self.simple(ask, place).await?;
            }
        }
        let start = match &known {
            None => Start::Same { size: Some(0), modified: 0.0 },
            // Nothing is sent yet: if the upload fails, the server still has what was there.
            Some(_) if create == Create::Emptied => {
                Start::Emptied(file::on_disk(tempfile::tempfile).await?)
            }
            Some(found) => {
                let size = found.sized.then_some(found.meta.size);
                Start::Same { size, modified: found.meta.modified }
            }
        };
        let client = Arc::clone(&self.client);
        Ok(Arc::new(WebDavFile::new(client, path, place.clone(), access, start)))
    }

    async fn stat(&self, place: &Place, _follow: bool) -> Result<Meta> {
        let found = self.describe(place).await?;
        let mut meta = found.meta;
        if !found.sized
            && let Some(size) = file::length(&self.client, &self.path(place), place).await?
        {
            (meta.size, meta.used) = (size, size);
        }
        Ok(meta)
    }

    async fn list(&self, place: &Place) -> Result<Vec<Entry>> {
        let own = self.client.path(&self.path(place));
        let mut entries = Vec::new();
        let mut itself = None;
        for found in self.find(place, "1").await? {
            if found.path == own {
                itself = Some(found.meta.kind);
            } else if let Some(name) = found.path.rsplit('/').next().filter(|name| !name.is_empty())
            {
                entries.push(Entry { name: name.to_owned(), meta: found.meta });
            }
        }
        if itself.is_some_and(|kind| kind != EntryKind::Directory) {
            return Err(Error::new(Kind::NotADirectory, format!("{place}: is not a folder")));
        }
        Ok(entries)
    }

    async fn make_directory(&self, place: &Place) -> Result<()> {
        let path = self.path(place);
        let made = self.simple(Ask::new(method("MKCOL")?, &path).once(), place).await;
        match made {
            // 405: there is something already.
            Err(error) if error.kind() == Kind::Unsupported => {
                Err(Error::new(Kind::AlreadyExists, format!("{place}: exists already")))
            }
            made => made,
        }
    }

    async fn remove_directory(&self, place: &Place) -> Result<()> {
        // DELETE would take everything in it along.
        if !self.list(place).await?.is_empty() {
            return Err(Error::new(Kind::NotEmpty, format!("{place}: is not empty")));
        }
        let path = self.path(place);
        self.simple(Ask::new(Method::DELETE, &path).once(), place).await
    }

    async fn remove_file(&self, place: &Place) -> Result<()> {
        if self.kind(place).await? == EntryKind::Directory {
            return Err(Error::new(Kind::IsADirectory, format!("{place}: is a folder")));
        }
        let path = self.path(place);
        self.simple(Ask::new(Method::DELETE, &path).once(), place).await
    }

    async fn rename(&self, from: &Place, to: &Place) -> Result<()> {
        // MOVE would delete a folder that is in the way, with everything in it.
        match self.kind(to).await {
            Ok(EntryKind::Directory) if from != to => {
                Err(Error::new(Kind::AlreadyExists, format!("{to}: is a folder")))
            }
            Err(error) if error.kind() != Kind::NotFound => Err(error),
            _ => self.move_or_copy("MOVE", from, to).await,
        }
    }

    async fn set_permissions(&self, _place: &Place, _permissions: u32) -> Result<()> {
        Err(Error::new(Kind::Unsupported, "WebDAV has no permissions to change"))
    }

    async fn copy_on_server(&self, from: &Place, to: &Place) -> Result<bool> {
        if self.kind(from).await? == EntryKind::Directory {
            return Err(Error::new(Kind::IsADirectory, format!("{from}: is a folder")));
        }
        if matches!(self.kind(to).await, Ok(EntryKind::Directory)) {
            return Err(Error::new(Kind::IsADirectory, format!("{to}: is a folder")));
        }
        self.move_or_copy("COPY", from, to).await?;
        Ok(true)
    }

    async fn make_home(&self) -> Result<()> {
        let mut path = String::new();
        for name in self.home.names() {
            path = path + "/" + name;
            let answer = self.client.send(Ask::new(method("MKCOL")?, &path).impatient()).await?;
            let there = answer.status() == StatusCode::METHOD_NOT_ALLOWED;
            if !there && !answer.status().is_success() {
                return Err(told(answer.status(), &path));
            }
        }
        Ok(())
    }

    async fn close(&self) {}
}

fn method(name: &str) -> Result<Method> {
    Method::from_bytes(name.as_bytes()).map_err(|error| Error::new(Kind::Io, error.to_string()))
}

fn refused(status: StatusCode, place: &Place) -> Error {
    told(status, &place.relative())
}

fn told(status: StatusCode, path: &str) -> Error {
    let kind = match status.as_u16() {
        // 409: the folder around it is missing.
        404 | 409 | 410 => Kind::NotFound,
        401 | 403 => Kind::PermissionDenied,
        405 | 501 => Kind::Unsupported,
        412 => Kind::AlreadyExists,
        413 => Kind::FileTooLarge,
        414 => Kind::NameTooLong,
        423 => Kind::Locked,
        507 => Kind::NoSpace,
        408 | 504 => Kind::TimedOut,
        500.. => Kind::Unavailable,
        _ => Kind::Io,
    };
    Error::new(kind, format!("{path}: the WebDAV server answered {status}"))
}
