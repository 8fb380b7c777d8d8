//! `[webhooks]`, and the webhooks of models.

use adapters::webhook::{Origin, Secret, WebhookSettings};
use types::RetrySpec;

use super::{file::ConfigToml, judge::Judge, key::KeyPath, settings::WebhooksSettings};

const SECRET_FIX: &str =
    "write one or a list, each for example from `echo whsec_$(openssl rand -base64 32)`";
const ORIGIN_FIX: &str = "write scheme, host and port without a path, for example \"https://hooks.example\" or \"https://*.corp.example\"";

/// How webhooks are told; `None` if they are not.
pub(super) fn webhooks(config: &ConfigToml, judge: &mut Judge<'_>) -> Option<WebhooksSettings> {
    let webhooks = &config.webhooks;
    let mut secrets: Vec<Secret> = Vec::new();
    for text in &webhooks.secrets {
        secrets.extend(judge.parse::<Secret>("webhooks.secrets", text, SECRET_FIX));
    }
    let mut allow: Vec<Origin> = Vec::new();
    for text in &webhooks.allow {
        allow.extend(judge.parse::<Origin>("webhooks.allow", text, ORIGIN_FIX));
    }
    judge.positive("webhooks.attempts_max", webhooks.attempts_max);
    let backoff = judge.seconds("webhooks.backoff_seconds", webhooks.backoff_seconds, 0.0);
    let most = judge.seconds("webhooks.backoff_seconds_max", webhooks.backoff_seconds_max, 0.0);
    let timeout = judge.seconds("webhooks.timeout_seconds", webhooks.timeout_seconds, 0.1);
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let retry = RetrySpec {
        attempts_max: webhooks.attempts_max,
        backoff_ms: millis(backoff),
        backoff_ms_max: millis(most),
        ..RetrySpec::default()
    };
    let is_off = webhooks.secrets.is_empty();
    let settings = WebhooksSettings { letters: WebhookSettings { secrets, allow, timeout }, retry };
    of_models(config, &settings, judge);
    (!is_off).then_some(settings)
}

/// A webhook that could never be told is a mistake now, not at the first task.
fn of_models(config: &ConfigToml, settings: &WebhooksSettings, judge: &mut Judge<'_>) {
    for (name, spec) in &config.models {
        let Some(url) = &spec.webhook_url else { continue };
        let key = KeyPath::dotted("models").join(name.as_str()).join("webhook_url");
        if config.webhooks.secrets.is_empty() {
            let fix = "set `webhooks.secrets`, with which letters are signed";
            judge.refuse(&key, "webhooks are not sent without a secret", fix);
        } else if let Err(refused) = settings.letters.check(url) {
            judge.refuse(&key, refused.to_string(), "");
        }
    }
}
