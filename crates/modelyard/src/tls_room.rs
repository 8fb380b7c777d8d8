//! The certificate of the server: read from its files, and again when they change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use gateway::{BadCertificate, Certificate, Tls};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{ListenAddress, Settings, TlsSettings},
    listen::Door,
};

/// How often the file is looked at, which costs microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("`{}` holds no {what} as PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What the reader said.
        #[source]
        source: Option<pem::Error>,
    },
    /// Certificate and key do not fit.
    #[error("`{}` and its key cannot be used together", path.display())]
    Mismatch {
        /// The certificate.
        path: PathBuf,
        /// Why not.
        #[source]
        source: BadCertificate,
    },
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// The certificate, and what keeps it up to date.
pub(crate) struct TlsRoom {
    pub(crate) tls: Tls,
    certificate: Certificate,
    files: TlsSettings,
    seen: Option<SystemTime>,
    /// What an error was logged about.
    told: Option<Option<SystemTime>>,
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl TlsRoom {
    /// Reads the files; `None` if TLS is switched off, or nobody named files and none are found.
    ///
    /// # Errors
    /// [`TlsError`]: a server that should speak TLS must not speak without it.
    pub(crate) fn furnish(settings: &Settings, doors: &[Door]) -> Result<Option<Self>, TlsError> {
        let Some(files) = settings.tls.clone() else { return Ok(None) };
        if !files.required && !files.cert_file.exists() {
            return Ok(None);
        }
        let seen = changed(&files.cert_file);
        let (chain, key) = read(&files)?;
        let certificate =
            Certificate::new(chain, key).map_err(|source| mismatch(&files, source))?;
        let ports = doors.iter().filter_map(|door| match door.address {
            ListenAddress::Tcp { port, .. } => Some(port),
            ListenAddress::Unix(_) => None,
        });
        let ports: Vec<u16> = ports.collect();
        let tls = Tls::new(certificate.clone(), files.plain, &ports)?;
        tracing::info!(certificate = %files.cert_file.display(), plain = ?files.plain, "https is spoken");
        Ok(Some(Self { tls, certificate, files, seen, told: None }))
    }

    /// Reads the files again whenever they have changed, until the end.
    pub(crate) async fn watch(mut self, end: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                _ = ticks.tick() => self.refresh(),
            }
        }
    }

    fn refresh(&mut self) {
        let found = changed(&self.files.cert_file);
        if found == self.seen {
            return;
        }
        let replaced = read(&self.files).and_then(|(chain, key)| {
            self.certificate.replace(chain, key).map_err(|source| mismatch(&self.files, source))
        });
        match replaced {
            Ok(()) => {
                self.seen = found;
                tracing::info!("a new certificate is shown");
            }
            // Perhaps the key is still to come: it is tried again.
            Err(error) => {
                if self.told != Some(found) {
                    let error = types::chain(&error);
                    tracing::error!(%error, "the certificate stays as it was");
                }
                self.told = Some(found);
            }
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|found| found.modified()).ok()
}

fn read(files: &TlsSettings) -> Result<Pair, TlsError> {
    let text = |path: &PathBuf| {
        fs::read(path).map_err(|source| TlsError::Read { path: path.clone(), source })
    };
    let bad = |path: &PathBuf, what, source| TlsError::Pem { path: path.clone(), what, source };
    let (cert, key) = (&files.cert_file, &files.key_file);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text(cert)?)
        .collect::<Result<_, _>>()
        .map_err(|error| bad(cert, "certificate", Some(error)))?;
    if chain.is_empty() {
        return Err(bad(cert, "certificate", None));
    }
    let key = PrivateKeyDer::from_pem_slice(&text(key)?)
        .map_err(|error| bad(key, "private key", Some(error)))?;
    Ok((chain, key))
}

fn mismatch(files: &TlsSettings, source: BadCertificate) -> TlsError {
    TlsError::Mismatch { path: files.cert_file.clone(), source }
}
