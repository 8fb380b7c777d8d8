//! `[webhooks]`: when they are sent, and what is refused.

use super::{super::Shown, Desk, desk};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn with(lines: &str) -> Desk {
    desk(&format!("[webhooks]\nsecrets = '{SECRET}'\n{lines}\n"))
}

#[track_caller]
fn refused(desk: &Desk, words: &str) {
    let issues = desk.load().err().map_or_else(String::new, |issues| issues.to_string());
    assert!(issues.contains(words), "`{words}` in\n{issues}");
}

#[test]
fn webhooks_are_sent_once_there_is_a_secret() {
    assert_eq!(desk("").settings().webhooks, None);
    let settings = with("allow = ['http://127.0.0.1:9000']").settings().webhooks.unwrap();
    assert_eq!((settings.retry.attempts_max, settings.retry.backoff_ms), (12, 5000));
    assert!(settings.letters.check("http://127.0.0.1:9000/a").is_ok());
    assert!(settings.letters.check("https://hooks.example/a").is_err());
    let secrets = format!("[\"{SECRET}\", \"{SECRET}\"]").leak();
    let two = desk("").with("MODELYARD_WEBHOOKS__SECRETS", secrets).settings().webhooks.unwrap();
    assert_eq!(two.letters.secrets.len(), 2);
    assert!(two.letters.check("https://hooks.example/a").is_ok());
}

#[test]
fn what_could_never_be_told_is_refused_with_its_remedy() {
    let secret = desk("[webhooks]\nsecrets = 'secret'");
    refused(
        &secret,
        "webhooks.secrets: it is not `whsec_` with 24 to 64 bytes in base64 behind it",
    );
    refused(&secret, "openssl rand -base64 32");
    let origin = with("allow = ['hooks.example']");
    refused(&origin, "webhooks.allow: `hooks.example` is not an origin");
    let unsigned = desk("[models.m]\nnum_workers = 0\nwebhook_url = 'https://a.example'");
    refused(&unsigned, "models.m.webhook_url: webhooks are not sent without a secret");
    refused(&unsigned, "set `webhooks.secrets`");
    let plain = with("[models.m]\nnum_workers = 0\nwebhook_url = 'http://a.example'");
    refused(&plain, "models.m.webhook_url: it does not begin with https://");
    let ours = desk("[models.\"modelyard:webhooks\"]\nnum_workers = 0");
    refused(&ours, "names that begin with `modelyard:` are the program's own");
}

#[test]
fn secrets_are_not_shown() {
    let desk = with("[models.m]\nnum_workers = 0\nwebhook_url = 'https://a.example/key'");
    let shown = desk.load().unwrap().show(Shown::Given);
    assert!(!shown.contains(SECRET) && !shown.contains("/key"), "{shown}");
}
