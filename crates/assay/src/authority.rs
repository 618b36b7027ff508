//! The home's own Sigstore: keys and certificates of an authority for code, one for times, and a log of certificates.
//!
//! ```text
//! keys/ca-root.pem   issued ca.pem's certificate; needed again only for another: keep it elsewhere
//!      ca.pem        issues leaves
//!      tsa-root.pem  issued tsa.pem's certificate; the same
//!      tsa.pem       stamps times
//!      ct.pem        promises to show certificates
//!      pseudonyms.secret
//! trust.json         their certificates and public keys: whoever trusts the home trusts them
//! ```

use std::sync::Arc;

use sign::authority::{Authority as Trusted, CertificateLog as TrustedLog, Window};
use sign::certificate::{Certificate, SubjectKey};
use sign::identity::{Issuer, IssuersFile};
use sign::issuing::{Authority, Below, Serial, Title, root};
use sign::stamping::Stamper;
use sign::trust::Trust;
use sign::{LogKey, SigningKey};
use store::certificates::CertificateLog;
use store::log::NewLog;
use tlog::index::IndexKey;

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::home::Home;
use crate::keys;
use crate::machine;
use crate::session;

/// How long certificates of authorities count: ten years, as those of Sigstore's public instance.
const VALID_S: i64 = 10 * 365 * 86_400;

/// The largest `issuers.toml`.
const ISSUERS_SIZE_MAX: u64 = 1 << 20;

const CA_ROOT: &str = "ca-root.pem";
const CA: &str = "ca.pem";
const TSA_ROOT: &str = "tsa-root.pem";
const TSA: &str = "tsa.pem";
const CT: &str = "ct.pem";
const PSEUDONYMS: &str = "pseudonyms.secret";

/// Makes keys and certificates if they are not there; before the session is opened, which goes by the trust root.
pub(crate) fn prepare(context: &Context, url: &str) -> Result<()> {
    let trust = session::prepare(context)?;
    let home = &context.home;
    if [CA, TSA, CT, PSEUDONYMS].iter().all(|name| home.keys().join(name).exists()) && !trust_is_missing(home, &trust)?
    {
        return Ok(());
    }
    session::amend(context, || make(home, trust, url))
}

/// Whether nobody who reads `trust.json` would believe this home's authorities: a crash came between keys and trust.
fn trust_is_missing(home: &Home, trust: &Trust) -> Result<bool> {
    let key = SubjectKey::from(keys::read_file(home, CA)?.public());
    Ok(!trust.authorities.certificates.iter().any(|one| one.chain()[0].key() == &key))
}

fn make(home: &Home, mut trust: Trust, url: &str) -> Result<()> {
    let now = machine::now()?;
    let organization = trust.logs.first().map_or("assay", |log| log.origin.as_str()).to_owned();
    let title = |common_name| -> Result<Title<'_>> {
        let serial = Serial::new(machine::random()?);
        Ok(Title {
            organization: &organization,
            common_name,
            valid_from: now,
            valid_until: now.plus_s(VALID_S),
            serial,
        })
    };
    let doing = || "making the certificate authorities".to_owned();
    let code = {
        let (root_key, own) = (key(home, CA_ROOT)?, key(home, CA)?);
        let anchor = root(&title("assay root")?, &root_key, Below::Leaves).context("authority", doing())?;
        let above = Authority::new(root_key, vec![anchor.clone()]).context("authority", doing())?;
        vec![above.issue(&title("assay intermediate")?, &own, Below::Leaves).context("authority", doing())?, anchor]
    };
    let times = {
        let (root_key, own) = (key(home, TSA_ROOT)?, key(home, TSA)?);
        let anchor =
            root(&title("assay time-stamping root")?, &root_key, Below::Times).context("authority", doing())?;
        let above = Authority::new(root_key, vec![anchor.clone()]).context("authority", doing())?;
        vec![above.issue(&title("assay time-stamping")?, &own, Below::Times).context("authority", doing())?, anchor]
    };
    let log = SubjectKey::from(key(home, CT)?.public());
    if !home.keys().join(PSEUDONYMS).exists() {
        keys::write_private(&home.keys().join(PSEUDONYMS), &machine::random::<32>()?)?;
    }
    let window = Window { start: now, end: None };
    let authorities = &mut trust.authorities;
    authorities.certificates.push(trusted(url, &code, window)?);
    authorities.times.push(trusted(&format!("{url}/api/v1/timestamp"), &times, window)?);
    authorities.certificate_logs.push(TrustedLog::new(&format!("{url}/ct"), log, window));
    keys::write_trust(&home.trust(), &trust)
}

fn trusted(uri: &str, chain: &[Certificate], window: Window) -> Result<Trusted> {
    let der: Vec<Vec<u8>> = chain.iter().map(|one| one.der().to_vec()).collect();
    Trusted::new(uri, &der, window).context("authority", format!("trusting the authority `{uri}`"))
}

/// Reads a key, made if it is not there.
fn key(home: &Home, name: &str) -> Result<SigningKey> {
    let path = home.keys().join(name);
    if !path.exists() {
        let key = SigningKey::generate().context("key", "making a signing key")?;
        keys::file::write(&path, &key)?;
    }
    keys::read_file(home, name)
}

/// Opens all of it in an open home.
pub(crate) fn open(
    home: &Home,
    data: &store::home::Home,
    issuers: Vec<Issuer>,
    keys: Arc<dyn server::IssuerKeys>,
) -> Result<server::Sigstore> {
    let trust = data.trust();
    let code = keys::read_file(home, CA)?;
    let chain = chain_of(&trust.authorities.certificates, &code, CA)?;
    let authority = Authority::new(code, chain).context("authority", "opening the certificate authority")?;
    let times = keys::read_file(home, TSA)?;
    let chain = chain_of(&trust.authorities.times, &times, TSA)?;
    let stamper = Stamper::new(times, chain).context("authority", "opening the time-stamp authority")?;
    let certificates = CertificateLog::open(data, || new_log(data.log().origin())).map_err(|failed: Opening| {
        failed.0.unwrap_or_else(|| Failure::new("certificates", "opening the log of certificates"))
    })?;
    let secret = std::fs::read(home.keys().join(PSEUDONYMS)).context("key", "reading the key of pseudonyms")?;
    let pseudonyms = secret.try_into().map_err(|_| Failure::new("key", "the key of pseudonyms has not 32 bytes"))?;
    let log_key = keys::read_file(home, CT)?;
    Ok(server::Sigstore { authority, stamper, log_key, certificates, issuers, keys, pseudonyms })
}

/// The certificates of a key in the trust root: who issues what nobody would believe must not begin.
fn chain_of(trusted: &[Trusted], key: &SigningKey, name: &str) -> Result<Vec<Certificate>> {
    let key = SubjectKey::from(key.public());
    let found = trusted.iter().rev().find(|one| one.chain()[0].key() == &key);
    found.map(|one| one.chain().to_vec()).ok_or_else(|| {
        Failure::new("authority", format!("`keys/{name}` has no certificates in trust.json"))
            .hint("restore trust.json, or move the key away to have new authorities made")
    })
}

/// Why the log of certificates did not open.
struct Opening(Option<Failure>);

impl From<store::certificates::CertificateLogError> for Opening {
    fn from(error: store::certificates::CertificateLogError) -> Opening {
        Opening(Some(Failure::new("certificates", "opening the log of certificates").because(&error)))
    }
}

fn new_log(origin: &str) -> std::result::Result<NewLog, Opening> {
    let failed = |failure| Opening(Some(failure));
    let key = LogKey::generate().context("log", "making the key of the log of certificates").map_err(failed)?;
    let index_key = IndexKey::new(zeroize::Zeroizing::new(machine::random().map_err(failed)?));
    Ok(NewLog { origin: format!("{origin}/ct"), key, index_key })
}

/// Reads whose tokens are taken: of a file, or of the home's `issuers.toml`; nobody's if there is none.
pub(crate) fn issuers(home: &Home, file: Option<&std::path::Path>) -> Result<Vec<Issuer>> {
    let own = home.root().join("issuers.toml");
    let path = match file {
        Some(file) => file,
        None if own.exists() => &own,
        None => return Ok(Vec::new()),
    };
    let doing = || format!("reading the issuers in `{}`", path.display());
    let text = crate::commands::sigstore::read(path, ISSUERS_SIZE_MAX)?;
    let text = String::from_utf8(text).context("issuers", doing())?;
    let file: IssuersFile = toml::from_str(&text).context("issuers", doing())?;
    let mut issuers = file.issuers().context("issuers", doing())?;
    for issuer in &mut issuers {
        if let (Some(keys), Some(directory)) = (&mut issuer.keys, path.parent()) {
            *keys = directory.join(&keys).display().to_string();
        }
    }
    Ok(issuers)
}

/// The URL that a server is reached by, as far as it is known before it listens.
pub(crate) fn url(public: Option<&str>, listen: std::net::SocketAddr) -> String {
    match public {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{listen}"),
    }
}
