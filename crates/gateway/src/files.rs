//! `/v1/files`: what batches read and write.

use std::str::FromStr;

use api::openai::{ExpiresAfter, FileDeleted, FileObject, ListPage};
use axum::{
    Json,
    body::Body,
    extract::{
        Multipart, Path, RawQuery, State,
        multipart::{Field, MultipartError, MultipartRejection},
    },
    response::Response,
};
use batches::{Content, ListQuery, NewFileInfo};
use http::{HeaderValue, StatusCode, header};
use tokio_util::io::ReaderStream;
use types::{ErrorCode, Fault};

use crate::{Gateway, failure::Failure, query::Query};

/// Longest text of a field that is no file, in bytes.
const FIELD_BYTES_MAX: usize = 4096;

/// Files on a page, where nobody says how many and at most.
const PAGE_MAX: u32 = 10_000;

/// Bytes that are read of a content at once.
const PIECE_BYTES: usize = 256 * 1024;

/// `POST /v1/files`: streams the file to the disk as it comes.
pub(crate) async fn upload(
    State(gateway): State<Gateway>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Json<FileObject>, Failure> {
    let mut form = form.map_err(|rejection| {
        let detail = "send the file as multipart/form-data, with the fields `purpose` and `file`";
        Fault::new(ErrorCode::UnsupportedMediaType, detail).caused_by(rejection)
    })?;
    let (mut upload, mut info) = (None, NewFileInfo::default());
    let (mut anchor, mut seconds) = (None, None);
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        match field.name().unwrap_or_default() {
            "file" if upload.is_some() => {
                return Err(bad("file", "the field `file` is given twice"));
            }
            "file" => {
                info.filename = field.file_name().map(str::to_owned);
                let mut written = gateway.batches.files().begin().await?;
                while let Some(piece) = field.chunk().await.map_err(broken)? {
                    written.write(&piece).await?;
                }
                upload = Some(written);
            }
            "purpose" => info.purpose = Some(text(field, "purpose").await?),
            "expires_after[anchor]" => anchor = Some(text(field, "expires_after").await?),
            "expires_after[seconds]" => seconds = Some(text(field, "expires_after").await?),
            // Clients of later versions may say more.
            _ => {}
        }
    }
    let Some(upload) = upload else {
        return Err(bad("file", "the field `file` is missing; send the file in it"));
    };
    info.expires_after = expires_after(anchor, seconds)?;
    Ok(Json(upload.keep(info).await?))
}

/// `GET /v1/files`.
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    RawQuery(query): RawQuery,
) -> Result<Json<ListPage<FileObject>>, Failure> {
    let mut query = Query::parse(query.as_deref())?;
    let wanted = ListQuery {
        purpose: query.take("purpose")?,
        after: query.take("after")?,
        oldest_first: query.take::<Order>("order")?.is_some_and(|order| order.oldest_first),
        limit: query.take::<Limit<PAGE_MAX>>("limit")?.map_or(PAGE_MAX, |limit| limit.0),
    };
    query.finish()?;
    Ok(Json(gateway.batches.files().list(wanted).await?))
}

/// `GET /v1/files/{id}`.
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Json<FileObject>, Failure> {
    Ok(Json(gateway.batches.files().get(&id).await?))
}

/// `GET /v1/files/{id}/content`.
pub(crate) async fn content(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let Content { object, file } = gateway.batches.files().content(&id).await?;
    let stream = ReaderStream::with_capacity(file, PIECE_BYTES);
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(object.bytes));
    Ok(response)
}

/// `DELETE /v1/files/{id}`.
pub(crate) async fn delete(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Json<FileDeleted>, Failure> {
    Ok(Json(gateway.batches.files().delete(&id).await?))
}

/// Reads a short field.
async fn text(mut field: Field<'_>, name: &'static str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(broken)? {
        if bytes.len() + piece.len() > FIELD_BYTES_MAX {
            return Err(bad(name, format!("the field is longer than {FIELD_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| bad(name, "the field is not text in UTF-8"))
}

fn expires_after(
    anchor: Option<String>,
    seconds: Option<String>,
) -> Result<Option<ExpiresAfter>, Failure> {
    let Some(seconds) = seconds else {
        return match anchor {
            None => Ok(None),
            Some(_) => Err(bad("expires_after[seconds]", "the number of seconds is missing")),
        };
    };
    let number = seconds.trim().parse();
    let seconds = number.map_err(|_| bad("expires_after[seconds]", "it must be a whole number"))?;
    Ok(Some(ExpiresAfter { anchor: anchor.unwrap_or_default(), seconds }))
}

fn bad(
    param: impl Into<std::borrow::Cow<'static, str>>,
    detail: impl Into<std::borrow::Cow<'static, str>>,
) -> Failure {
    Failure(Fault::new(ErrorCode::InvalidRequest, detail).about(param))
}

/// A form that cannot be read to its end.
fn broken(error: MultipartError) -> Failure {
    let code = match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::BodyTooLarge,
        _ => ErrorCode::InvalidRequest,
    };
    Failure(Fault::new(code, "the form breaks off, or is not multipart/form-data").caused_by(error))
}

/// `asc` or `desc`.
struct Order {
    oldest_first: bool,
}

impl FromStr for Order {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "asc" => Ok(Self { oldest_first: true }),
            "desc" => Ok(Self { oldest_first: false }),
            _ => Err("it must be asc or desc"),
        }
    }
}

/// From 1 to a bound.
pub(crate) struct Limit<const MAX: u32>(pub(crate) u32);

impl<const MAX: u32> FromStr for Limit<MAX> {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse::<u32>().ok().filter(|number| (1..=MAX).contains(number));
        number.map(Self).ok_or_else(|| format!("it must be a number from 1 to {MAX}"))
    }
}
