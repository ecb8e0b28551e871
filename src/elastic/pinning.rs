//! Pinning: a certificate that is known by its fingerprint, where there is no file of an authority.
//!
//! Elasticsearch prints the SHA-256 of its authority's certificate when it configures itself, and sends that certificate along
//! with its own one. What has the fingerprint is trusted, and nothing else: as an authority, if it stands above the server's
//! certificate (whose name and dates are looked at as ever), or by itself, if it is the server's own.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::describe;
use super::fingerprint::Fingerprint;
use super::options::OptionsError;

/// TLS that trusts what has this fingerprint, and shows our certificate if there is one (PEM of certificate and key).
pub(super) fn tls(fingerprint: Fingerprint, identity: Option<&[u8]>) -> Result<ClientConfig, OptionsError> {
    let build_error = |problem: String| OptionsError::Build { problem };
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Pinned { fingerprint, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| build_error(describe::deepest(&error)))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(pem) = identity else { return Ok(builder.with_no_client_auth()) };
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| build_error(describe::deepest(&error)))?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| build_error(describe::deepest(&error)))?;
    builder.with_client_auth_cert(certificates, key).map_err(|error| build_error(describe::deepest(&error)))
}

#[derive(Debug)]
struct Pinned {
    fingerprint: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if Fingerprint::of(end_entity) == self.fingerprint {
            return Ok(ServerCertVerified::assertion());
        }
        let is_known = |certificate: &&CertificateDer<'_>| Fingerprint::of(certificate) == self.fingerprint;
        let Some(authority) = intermediates.iter().find(is_known) else {
            return Err(Error::General(no_such(end_entity, intermediates)));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&self.provider)).build();
        let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What the server shows is public, and what an operator needs to see which one it is.
fn no_such(end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> String {
    let shown = intermediates.last().unwrap_or(end_entity);
    format!("no certificate that the server sent has the `fingerprint`; the topmost one has {}", Fingerprint::of(shown))
}
