//! Files as answers.

use std::{
    fs::File,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use api::Body;
use bytes::Bytes;
use futures_util::Stream as _;
use http_body::Frame;
use tokio_util::io::ReaderStream;

/// Read at once; large enough that the disk is not asked for crumbs.
const PIECE_BYTES: usize = 64 * 1024;

/// Opens a file: its length in bytes, and a body that reads it piece by piece.
///
/// # Errors
/// If it cannot be opened, or is not a file.
pub(crate) fn open(path: &str) -> io::Result<(u64, Body)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other(format!("{path} is not a file")));
    }
    let pieces = ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE_BYTES);
    Ok((metadata.len(), Body::stream(FileBody { pieces })))
}

struct FileBody {
    pieces: ReaderStream<tokio::fs::File>,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.get_mut().pieces)
            .poll_next(cx)
            .map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
