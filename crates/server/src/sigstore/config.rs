//! What clients need to sign here: where, and whom to trust.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use registry::access::Action;
use sign::trust::Trust;
use wire::signing_config::{
    ClientTrustConfig, MEDIA_TYPE, Period, Selection, Service, SigningConfig, TRUST_CONFIG_MEDIA_TYPE,
};
use wire::timestamp::Timestamp;
use wire::trusted_root::TrustedRoot;

use crate::api::{Answer, Call};
use crate::error::Problem;

/// Returns where to sign at a server that is reached at `url`; `issuers` are those whose tokens it takes.
pub fn signing_config_at(url: &str, operator: &str, trust: &Trust, issuers: &[String]) -> SigningConfig {
    let base = url.trim_end_matches('/');
    let from = |windows: &mut dyn Iterator<Item = Timestamp>| windows.max();
    let service = |url: String, major_api_version, start: Option<Timestamp>| Service {
        url,
        major_api_version,
        valid_for: Period { start: start.unwrap_or(Timestamp::from_unix_s(0).expect("1970 is in range")), end: None },
        operator: operator.to_owned(),
    };
    let authorities = &trust.authorities;
    let issuing = from(&mut authorities.certificates.iter().map(|one| one.window().start));
    let stamping = from(&mut authorities.times.iter().map(|one| one.window().start));
    let logging = from(&mut trust.logs.iter().map(|one| one.valid_from));
    SigningConfig {
        media_type: MEDIA_TYPE.to_owned(),
        ca_urls: vec![service(base.to_owned(), 1, issuing)],
        oidc_urls: issuers.iter().map(|issuer| service(issuer.clone(), 1, issuing)).collect(),
        rekor_tlog_urls: vec![service(base.to_owned(), 2, logging)],
        tsa_urls: vec![service(format!("{base}/api/v1/timestamp"), 1, stamping)],
        rekor_tlog_config: Selection::default(),
        tsa_config: Selection::default(),
    }
}

/// Returns both of what a client needs in one document.
pub fn trust_config_at(url: &str, operator: &str, trust: &Trust, issuers: &[String]) -> ClientTrustConfig {
    let root = sign::trust::to_trusted_root_json(trust);
    ClientTrustConfig {
        media_type: TRUST_CONFIG_MEDIA_TYPE.to_owned(),
        trusted_root: TrustedRoot::parse(root.as_bytes()).expect("a trusted root that was just written"),
        signing_config: signing_config_at(url, operator, trust, issuers),
    }
}

/// `GET /api/v1/signing_config.json`
pub(crate) async fn signing_config(call: Call) -> Answer {
    let (url, issuers) = here(&call)?;
    json(signing_config_at(&url, call.server.origin(), call.server.trust(), &issuers).to_json())
}

/// `GET /api/v1/trust_config.json`
pub(crate) async fn trust_config(call: Call) -> Answer {
    let (url, issuers) = here(&call)?;
    json(trust_config_at(&url, call.server.origin(), call.server.trust(), &issuers).to_json())
}

fn here(call: &Call) -> Result<(String, Vec<String>), Problem> {
    call.must(Action::Read)?;
    let issuers = call.server.sigstore()?.issuers.iter().map(|issuer| issuer.url.clone()).collect();
    Ok((call.server.public_url(&call.parts.headers), issuers))
}

fn json(text: String) -> Answer {
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response() as Response)
}
