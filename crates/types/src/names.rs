//! Names that clients choose: checked once, when parsed.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name that breaks the rule of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{text}` is not valid: {rule}")]
pub struct BadName {
    what: &'static str,
    text: String,
    rule: &'static str,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $length_max:literal, $allowed:expr, $rule:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", &*self.0) }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str { &self.0 }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self { name.0.as_ref().to_owned() }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> { text.parse() }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let allowed: fn(u8) -> bool = $allowed;
                if !text.is_empty() && text.len() <= $length_max && text.bytes().all(allowed) {
                    return Ok(Self(text.into()));
                }
                Err(BadName { what: $what, text: text.chars().take(64).collect(), rule: $rule })
            }
        }
    )*};
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@')
}

names! {
    /// The name under which a model is called, for example `local-echo`.
    ModelName: "model name", 128, is_name,
        "use 1 to 128 letters, digits and `-`, `_`, `.`, `:`, `@`";
    /// Whose work it is; fairness and quotas are kept per tenant.
    Tenant: "tenant", 128, is_name,
        "use 1 to 128 letters, digits and `-`, `_`, `.`, `:`, `@`";
    /// What ties log lines of one request together (`x-request-id`, the IEOPS trace id).
    RequestId: "request id", 128, |byte| byte.is_ascii_graphic(),
        "use 1 to 128 visible ASCII characters";
}

impl ModelName {
    /// What begins with this is ours; no configured model may.
    pub const OURS: &str = "modelyard:";

    /// Whether the tasks of this model are our own doing, and not a client's.
    pub fn is_ours(&self) -> bool {
        self.as_str().starts_with(Self::OURS)
    }

    /// The name under which letters to webhooks wait in the store. Nobody can call it.
    pub fn webhooks() -> Self {
        Self("modelyard:webhooks".into())
    }
}

impl Default for Tenant {
    /// The tenant of callers that name none.
    fn default() -> Self {
        Self("default".into())
    }
}

/// The three classes of work. A higher class goes first; within a class tenants take turns.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After everything else.
    Low,
    /// What callers get who ask for nothing.
    #[default]
    Normal,
    /// Before everything else.
    High,
}

impl Priority {
    /// All classes, most urgent first.
    pub const URGENT_FIRST: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

impl FromStr for Priority {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        match text {
            "low" => Ok(Self::Low),
            "normal" => Ok(Self::Normal),
            "high" => Ok(Self::High),
            _ => Err(BadName {
                what: "priority",
                text: text.chars().take(64).collect(),
                rule: "use `low`, `normal` or `high`",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_name_says_the_rule() {
        let error = "a model".parse::<ModelName>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "model name `a model` is not valid: use 1 to 128 letters, digits and `-`, `_`, `.`, `:`, `@`"
        );
        assert!("a".repeat(129).parse::<Tenant>().is_err());
        assert!("".parse::<RequestId>().is_err());
    }

    #[test]
    fn priorities_order_and_parse() {
        assert!(Priority::High > Priority::Normal && Priority::Normal > Priority::Low);
        for class in Priority::URGENT_FIRST {
            assert_eq!(class.as_str().parse(), Ok(class));
        }
        assert!("urgent".parse::<Priority>().is_err());
    }
}
