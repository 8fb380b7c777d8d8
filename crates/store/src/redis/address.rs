//! Where Redis is: one server, or a primary that Sentinel names.

use redis::{
    Client, ConnectionAddr, IntoConnectionInfo, TlsMode,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

/// `redis-sentinel://[user:password@]host:port[,host:port…]/name[/db]`
const SENTINEL: &str = "redis-sentinel://";

/// The same with TLS, to Sentinel and to Redis.
const SENTINEL_TLS: &str = "rediss-sentinel://";

/// Port of Sentinel where none is given.
const SENTINEL_PORT: u16 = 26379;

/// A way to the primary.
pub(super) enum Address {
    /// One server.
    Server(Box<Client>),
    /// Whoever Sentinel says is the primary now.
    Sentinel(Box<tokio::sync::Mutex<SentinelClient>>),
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, in words for the operator.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        if let Some(rest) = url.strip_prefix(SENTINEL) {
            return sentinel(rest, None);
        }
        match url.strip_prefix(SENTINEL_TLS) {
            Some(rest) => sentinel(rest, Some(TlsMode::Secure)),
            None => server(url),
        }
    }

    /// The way to who is the primary now.
    pub(super) async fn client(&self) -> redis::RedisResult<Client> {
        match self {
            Self::Server(client) => Ok(Client::clone(client)),
            Self::Sentinel(sentinel) => sentinel.lock().await.async_get_client().await,
        }
    }
}

/// The URL without its password, for people to read.
pub(super) fn shown(url: &str) -> String {
    // A password may also stand in the query of a socket's URL.
    let url = url.split_once('?').map_or(url, |(url, _)| url);
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}"),
        None => url.to_owned(),
    }
}

fn server(url: &str) -> Result<Address, String> {
    let info = url.into_connection_info().map_err(|error| {
        format!("not an address of Redis ({error}); write redis://host:port/db, rediss://host:port/db, unix:///path, or {SENTINEL}host:port/name")
    })?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err("`#insecure` would trust anybody's certificate; name the right one with SSL_CERT_FILE instead".into());
    }
    Client::open(info).map(|client| Address::Server(Box::new(client))).map_err(|e| e.to_string())
}

fn sentinel(rest: &str, tls: Option<TlsMode>) -> Result<Address, String> {
    let scheme = if tls.is_some() { SENTINEL_TLS } else { SENTINEL };
    let usage = || format!("write {scheme}host:port,host:port/name");
    let (login, rest) = match rest.rsplit_once('@') {
        Some((login, rest)) => (Some(login), rest),
        None => (None, rest),
    };
    let (hosts, path) = rest.split_once('/').ok_or_else(usage)?;
    let (name, db) = path.split_once('/').unwrap_or((path, "0"));
    if name.is_empty() {
        return Err(usage());
    }
    let hosts: Result<Vec<_>, String> = hosts.split(',').map(|host| sentry(host, tls)).collect();
    let mut builder = SentinelClientBuilder::new(hosts?, name, SentinelServerType::Master)
        .map_err(|error| error.to_string())?
        .set_client_to_redis_db(db.parse().map_err(|_| format!("`{db}` is not a database"))?);
    if let Some((user, password)) = login.map(|login| login.split_once(':').unwrap_or(("", login)))
    {
        if !user.is_empty() {
            builder = builder.set_client_to_redis_username(user);
        }
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(mode) = tls {
        builder = builder.set_client_to_redis_tls_mode(mode);
    }
    let client = builder.build().map_err(|error| error.to_string())?;
    Ok(Address::Sentinel(Box::new(tokio::sync::Mutex::new(client))))
}

/// One Sentinel.
fn sentry(text: &str, tls: Option<TlsMode>) -> Result<ConnectionAddr, String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| format!("`{port}` is not a port"))?),
        None => (text, SENTINEL_PORT),
    };
    if host.is_empty() {
        return Err("a Sentinel has no host name".into());
    }
    let host = host.to_owned();
    Ok(match tls {
        Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        None => ConnectionAddr::Tcp(host, port),
    })
}

#[cfg(test)]
mod tests;
