//! Which model answers a request that names none.

use fleet::{Availability, ModelView, Phase};
use types::{ErrorCode, ModelKind, ModelName};

use crate::{Gateway, failure::Failure};

/// The name by which clients of `ai-platform` ask for whatever is served.
pub(crate) const LOCAL_MODEL: &str = "local-model";

/// What a path needs of its model, in the word that workers declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ability {
    Chat,
    Embeddings,
}

impl Ability {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
        }
    }
}

/// The configured model, else the first that can, for which there is an order of preference: a
/// person's own before the demonstration, one that is ready before one that starts or fails.
pub(crate) fn choose(gateway: &Gateway, ability: Ability) -> Result<ModelName, Failure> {
    let views = gateway.fleet.views();
    let configured = gateway.settings.default_model.clone().filter(|name| {
        // A server for chat may have a second model just for embeddings.
        views.iter().any(|(other, view)| other == name && rank(view, ability).is_some())
    });
    let best = || {
        let ranked = views.iter().filter_map(|(name, view)| Some((rank(view, ability)?, name)));
        ranked.min().map(|(_, name)| name.clone())
    };
    configured.or_else(best).ok_or_else(|| {
        let word = ability.word();
        let detail = format!(
            "no model here can do `{word}`; serve one with `modelyard serve FOLDER`, or name one of GET /v1/models"
        );
        Failure::new(ErrorCode::ModelNotFound, detail)
    })
}

/// Less is better; `None` if it cannot.
fn rank(view: &ModelView, ability: Ability) -> Option<(bool, u8)> {
    if matches!(view.availability(), Availability::Disabled { .. }) {
        return None;
    }
    let mut ready = view.members.iter().filter(|member| member.phase == Phase::Ready);
    let able = match ready.next() {
        Some(member) => declares(&member.replica.description.capabilities, ability),
        // What it can do is known once it has started.
        None => view.spec.kind == ModelKind::Llm || declares(&view.spec.capabilities, ability),
    };
    let is_demo = view.spec.metadata.get("demo").is_some_and(|value| value == true);
    let state = match view.availability() {
        Availability::Ready => 0,
        Availability::Starting => 1,
        Availability::Failing { .. } | Availability::Disabled { .. } => 2,
    };
    able.then_some((is_demo, state))
}

fn declares(capabilities: &[String], ability: Ability) -> bool {
    capabilities.iter().any(|word| word == ability.word())
}
