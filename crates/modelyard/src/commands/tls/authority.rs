//! A certificate authority of one machine, and the certificates that it issues.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, Error, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

const NAME: &str = "Modelyard local authority";
/// As long as people trust it without being asked again.
const AUTHORITY_DAYS: i64 = 3650;
/// Browsers believe no certificate that lasts longer.
const CERTIFICATE_DAYS: i64 = 397;

/// The authority.
pub(super) struct Authority {
    key: KeyPair,
}

impl Authority {
    /// A new one.
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { key: KeyPair::generate()? })
    }

    /// The one with this key: its name and its key are all that it is known by.
    pub(super) fn of(key_pem: &str) -> Result<Self, Error> {
        Ok(Self { key: KeyPair::from_pem(key_pem)? })
    }

    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// What clients trust.
    pub(super) fn certificate_pem(&self) -> Result<String, Error> {
        Ok(params()?.self_signed(&self.key)?.pem())
    }

    /// A certificate for these names and addresses, and its key, both PEM.
    pub(super) fn issue(&self, names: &[String]) -> Result<(String, String), Error> {
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name = rcgen::DistinguishedName::new();
        let first = names.first().map_or(NAME, String::as_str);
        leaf.distinguished_name.push(DnType::CommonName, first);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.use_authority_key_identifier_extension = true;
        (leaf.not_before, leaf.not_after) = span(CERTIFICATE_DAYS);
        let key = KeyPair::generate()?;
        let issuer = Issuer::new(params()?, &self.key);
        Ok((leaf.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
    }
}

fn params() -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = span(AUTHORITY_DAYS);
    Ok(params)
}

/// From yesterday on: the clock of a client may be behind.
fn span(days: i64) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now - Duration::days(1), now + Duration::days(days - 1))
}
