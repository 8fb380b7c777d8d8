//! What `invoke` and `task` have in common: the body, the client, and how a refusal is told.

use std::io::{self, Read};

use adapters::client::{GatewayClient, GatewayError};
use api::{Body, BoxError, task::PageHandled};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http::{Method, Response, header};
use serde::de::DeserializeOwned;

use crate::{cli::Connection, failure::Failure};

/// What the person gave as the body: it stands on the command line, or comes from standard input.
pub(super) fn text(given: String) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::misuse(format!("could not read standard input: {error}")))?;
    Ok(text)
}

/// The body that the person gave, which must be JSON.
pub(super) fn body(given: String) -> Result<Bytes, Failure> {
    let text = text(given)?;
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(Failure::misuse(format!("the body is not JSON: {error}"))
            .hint("quote it for the shell: '{\"text\": \"hi\"}'; or give `-` and pipe it in")),
    }
}

/// A client of the server that the person means.
pub(super) fn client(connection: &Connection) -> Result<GatewayClient, Failure> {
    let client = GatewayClient::new(&connection.url).map_err(|error| {
        Failure::misuse(error.to_string()).hint("give the server as http://host:port with --url")
    })?;
    let Some(key) = &connection.key else { return Ok(client) };
    client
        .with_header(header::AUTHORIZATION, &format!("Bearer {key}"))
        .map_err(|error| Failure::misuse(error.to_string()))
}

/// What the server, or the way to it, said no to.
pub(super) fn refused(error: &GatewayError) -> Failure {
    match error {
        GatewayError::Refused { problem: Some(problem), .. } => {
            let failure = Failure::new(problem.detail.clone());
            match problem.retry_after {
                Some(seconds) => failure.hint(format!("try again in {seconds} s")),
                None => failure.hint(format!(
                    "{} ({}); the server's log knows it as request {}",
                    problem.code, problem.status, problem.request_id
                )),
            }
        }
        _ => Failure::from_error(error),
    }
}

/// The next piece of an answer.
pub(super) async fn next<S>(pieces: &mut S) -> Result<Option<Bytes>, Failure>
where
    S: Stream<Item = Result<Bytes, BoxError>> + Unpin,
{
    let broken = |error| Failure::new(format!("the answer broke off: {error}"));
    pieces.try_next().await.map_err(broken)
}

/// All of an answer.
pub(super) async fn whole(answer: Response<Body>) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    let mut pieces = GatewayClient::pieces(answer);
    while let Some(piece) = next(&mut pieces).await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// An answer of a known form.
pub(super) async fn json<T: DeserializeOwned>(answer: Response<Body>) -> Result<T, Failure> {
    serde_json::from_slice(&whole(answer).await?)
        .map_err(|error| refused(&GatewayError::Unexpected(error)))
}

/// What is named of these, as a query.
pub(super) fn query<const N: usize>(pairs: [(&str, Option<String>); N]) -> String {
    let named = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(named).finish()
}

/// Asks for one page after the other to be handled, and gives how many tasks there were.
pub(super) async fn each_page(client: &GatewayClient, path: &str) -> Result<u64, Failure> {
    let (mut handled, mut cursor) = (0, None::<String>);
    loop {
        let place = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let answer = client.send(Method::POST, &format!("{path}{place}"), None).await;
        let page: PageHandled = json(answer.map_err(|error| refused(&error))?).await?;
        handled += page.handled;
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(handled);
        }
    }
}
