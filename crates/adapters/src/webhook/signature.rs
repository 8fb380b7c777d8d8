//! The signature of a letter: HMAC-SHA256 over its id, its time and its body.

use std::{fmt, str::FromStr};

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// A key of the signature, written `whsec_` and base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// The text is no secret. It is not repeated, because it may be one all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not `whsec_` with 24 to 64 bytes in base64 behind it")]
pub struct BadSecret;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = BadSecret;
    fn from_str(text: &str) -> Result<Self, BadSecret> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(BadSecret)?;
        let key = BASE64.decode(encoded.as_bytes()).map_err(|_| BadSecret)?;
        if (24..=64).contains(&key.len()) { Ok(Self(key)) } else { Err(BadSecret) }
    }
}

/// The value of the header: one signature for each secret.
pub(super) fn all(secrets: &[Secret], id: &str, timestamp: u64, body: &[u8]) -> String {
    let signed = |secret: &Secret| sign(secret, id, timestamp, body);
    secrets.iter().filter_map(signed).collect::<Vec<_>>().join(" ")
}

/// One signature; `None` for a key that cannot be one, and every length can.
fn sign(secret: &Secret, id: &str, timestamp: u64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_letter_is_signed_as_the_scheme_says() {
        // The example that the authors of Standard Webhooks publish with their libraries.
        let secret: Secret = KNOWN.parse().unwrap();
        let signature = sign(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_so_that_one_can_follow_the_other() {
        let other = format!("whsec_{}", BASE64.encode(&[7; 32]));
        let secrets: Vec<Secret> = [KNOWN, &other].map(|text| text.parse().unwrap()).into();
        let both = all(&secrets, "a", 1, b"{}");
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(Some(first.to_owned()), sign(&secrets[0], "a", 1, b"{}"));
        assert_eq!(Some(second.to_owned()), sign(&secrets[1], "a", 1, b"{}"));
        assert_ne!(first, second);
    }

    #[test]
    fn what_is_no_secret_is_refused_and_a_secret_is_never_shown() {
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short", "whsec_AAAA"]
        {
            assert_eq!(text.parse::<Secret>(), Err(BadSecret), "{text}");
        }
        assert_eq!(format!("{:?}", KNOWN.parse::<Secret>().unwrap()), "Secret(…)");
    }
}
