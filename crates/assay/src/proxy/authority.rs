//! Certificates for the hosts that a sandbox asks, by the authority whose certificate lies in every sandbox with a record.
//!
//! Its key is made of a text that stands here, so everybody has it; why that is sound, and needed, is said in
//! [`build::ecosystem::recorded`]. Ed25519, since its signatures are the same each time.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ED25519, SerialNumber, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use wire::digest::Digest;

/// What the key is made of.
const SEED: &[u8] = b"assay: the authority of recorded answers, version 1";

/// The head of an Ed25519 key in PKCS #8: RFC 8410 §7.
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The authority.
pub(crate) struct Authority {
    key_der: Vec<u8>,
}

impl Authority {
    /// Makes it.
    pub(crate) fn new() -> Authority {
        Authority { key_der: [PKCS8.as_slice(), Digest::of(SEED).bytes()].concat() }
    }

    fn key(&self) -> Result<KeyPair, rcgen::Error> {
        KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(self.key_der.clone()), &PKCS_ED25519)
    }

    /// Returns its certificate as PEM: what [`AUTHORITY`] holds.
    #[cfg(test)]
    pub(crate) fn certificate(&self) -> Result<String, rcgen::Error> {
        Ok(own()?.self_signed(&self.key()?)?.pem())
    }

    /// Returns how to speak TLS as `host`, a name or address with a port.
    pub(crate) fn server(&self, host: &str) -> std::io::Result<Arc<ServerConfig>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
        let invalid =
            |error: &dyn std::fmt::Display| std::io::Error::other(format!("no certificate for `{name}`: {error}"));
        let leaf = self.leaf(name).map_err(|error| invalid(&error))?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key_der.clone()));
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![leaf], key)
            .map_err(|error| invalid(&error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn leaf(&self, name: &str) -> Result<CertificateDer<'static>, rcgen::Error> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name = named("recorded answers");
        params.serial_number = Some(SerialNumber::from(Digest::of(name.as_bytes()).bytes()[..16].to_vec()));
        params.not_before = date_time_ymd(1980, 1, 1);
        params.not_after = date_time_ymd(2099, 1, 1);
        let own = own()?;
        let issuer = Issuer::from_params(&own, self.key()?);
        Ok(params.signed_by(&self.key()?, &issuer)?.der().clone())
    }
}

fn own() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named("assay: recorded answers");
    params.serial_number = Some(SerialNumber::from(vec![1]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(1980, 1, 1);
    params.not_after = date_time_ymd(2099, 1, 1);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests {
    use build::ecosystem::recorded::AUTHORITY;

    use super::*;

    #[test]
    fn the_certificate_in_every_sandbox_is_its_own() {
        let made = Authority::new().certificate().expect("it can be signed");
        expect_test::expect_file!["../../../build/src/ecosystem/recorded/authority.pem"]
            .assert_eq(&made.replace("\r\n", "\n"));
        assert_eq!(made.replace("\r\n", "\n"), AUTHORITY);
    }

    #[test]
    fn names_and_addresses_have_certificates() {
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let authority = Authority::new();
        for host in ["registry.example.org:443", "127.0.0.2:8443", "[::1]:443"] {
            authority.server(host).expect(host);
        }
        assert!(authority.server("nö:443").is_err());
    }
}
