//! The certificates of a simulation: an authority of its own, made anew each
//! time, and one leaf for all of Spotify's names.

use std::{io, path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

/// What a receiver asks for by name, and how it reaches us directly.
const NAMES: [&str; 8] = [
    "*.spotify.com",
    "*.wg.spotify.com",
    "*.spotifycdn.com",
    "*.scdn.co",
    "*.audio.spotify.test",
    "localhost",
    "127.0.0.1",
    "::1",
];

/// Makes the certificates and writes the authority to `ca_file` (PEM), the
/// file that `SSL_CERT_FILE` must name.
pub(crate) fn acceptor(ca_file: &Path) -> io::Result<TlsAcceptor> {
    let (authority, leaf, key) = certificates().map_err(io::Error::other)?;
    std::fs::write(ca_file, authority)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)
        .map_err(io::Error::other)?;
    // Without this a client may take HTTP/2, which the simulation does not speak.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Certificates = (
    String,
    rustls::pki_types::CertificateDer<'static>,
    PrivateKeyDer<'static>,
);

fn certificates() -> Result<Certificates, rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority
        .distinguished_name
        .push(DnType::CommonName, "Simulated Spotify");
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let mut leaf = CertificateParams::new(NAMES.map(str::to_owned).to_vec())?;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.distinguished_name
        .push(DnType::CommonName, "simulated.spotify.com");
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&leaf_key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    Ok((authority_pem, leaf.der().clone(), key))
}
