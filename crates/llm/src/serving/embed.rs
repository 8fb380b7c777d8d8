//! A request for vectors.

use std::sync::Arc;

use api::Body;
use http::Response;
use worker::{Handler, Incoming};

use super::{
    failure::Family,
    generate::{in_background, told, whole},
};
use crate::{
    encoder::EmbedHandle,
    openai::{ApiError, EmbeddingText},
};

/// What answers `/v1/embeddings`.
pub(super) struct Embed {
    pub(super) text: Arc<EmbeddingText>,
    pub(super) handle: EmbedHandle,
}

impl Embed {
    pub(super) fn serves(self: &Arc<Self>) -> Arc<dyn Handler> {
        let this = Arc::clone(self);
        Arc::new(move |incoming| {
            let this = Arc::clone(&this);
            async move { Ok(told(this.answer(incoming).await, Family::OpenAi)) }
        })
    }

    async fn answer(&self, mut incoming: Incoming) -> Result<Response<Body>, ApiError> {
        let text = Arc::clone(&self.text);
        let call = in_background(&mut incoming, move |body| text.read(body)).await?;
        let vectors = self.handle.embed(call.inputs.clone(), Some(incoming.running)).await?;
        whole(&call.answer(vectors))
    }
}
