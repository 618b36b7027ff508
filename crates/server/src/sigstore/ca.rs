//! Certificates for identity tokens: Fulcio's API v2
//! <https://github.com/sigstore/fulcio/blob/v1.7.1/fulcio.proto>.
//!
//! In this order: whose token it is, whether the key is his who asks, whom it is for and whether he was revoked; then the log,
//! then the certificate. Whatever is wrong with a request is "invalid argument", as Fulcio says it.

use std::error::Error;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sign::certificate::{Certificate, SubjectKey};
use sign::identity::{Identity, Issuer};
use sign::issuing::{Draft, IssueError, Leaf, Serial};
use sign::jwt::{self, Claims, Expected, JwtError};
use sign::request;
use wire::fulcio::{
    self, CertificateChain, Configuration, EmbeddedSct, SigningCertRequest, SigningCertificate, TrustBundle,
};
use wire::jwt::Token;
use wire::pem;

use super::{Gateway, Sigstore};
use crate::body;
use crate::error::{Problem, chain};
use crate::state::Server;

/// What a certificate's owner should know: RFC 9111 §5.5 has the form.
const FOR_EVER: &str = "299 - \"the identity in this certificate stays in the certificate log for ever\"";

/// `POST /api/v2/signingCert`
pub(super) async fn signing_cert(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Gateway> {
    let (parts, body) = request.into_parts();
    let sigstore = server.sigstore()?;
    let request = read(body).await?;
    let token = request.token().map(str::to_owned).or_else(|| bearer(&parts.headers));
    let token = token.ok_or_else(|| invalid("no identity token: it stands in `credentials`, or in `Authorization`"))?;
    let (issuer, claims) = authenticate(&server, sigstore, &token).await?;
    let identity =
        issuer.identify(&claims, &sigstore.pseudonyms).map_err(|error| Problem::denied(error.to_string()).no_hint())?;
    let key = prove(&request, &identity)?;
    let certificate = issue(&server, identity, key).await?;
    let chain = SigningCertificate {
        signed_certificate_embedded_sct: EmbeddedSct { chain: pem_chain([&certificate], sigstore) },
    };
    let mut response = (StatusCode::OK, Json(chain)).into_response();
    if !issuer.pseudonymous {
        response.headers_mut().insert(header::WARNING, HeaderValue::from_static(FOR_EVER));
    }
    Ok(response)
}

async fn read(body: Body) -> Result<SigningCertRequest, Problem> {
    let bytes = body::whole(body, fulcio::REQUEST_SIZE_MAX).await?;
    SigningCertRequest::parse(&bytes).map_err(|error| invalid(chain(&error)))
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// Checks whose token it is. Its issuer's keys are asked for again once, if it names one that they lack.
async fn authenticate<'a>(
    server: &Server,
    sigstore: &'a Sigstore,
    token: &str,
) -> Result<(&'a Issuer, Claims), Problem> {
    let refused = |error: &(dyn Error + 'static)| invalid(format!("the identity token is refused: {}", chain(error)));
    let token = Token::parse(token).map_err(|error| refused(&error))?;
    let known = |issuer: &&Issuer| token.issuer() == Some(issuer.url.as_str());
    let issuer = sigstore.issuers.iter().find(known);
    let issuer = issuer.ok_or_else(|| {
        let stated = token.issuer().unwrap_or_default().chars().take(200).collect::<String>();
        invalid(format!("the identity token is refused: no issuer `{stated}` is configured here"))
    })?;
    let unknown = |error| unavailable(issuer, error);
    let keys = sigstore.keys.keys(issuer, None).await.map_err(unknown)?;
    let expected = Expected { issuer: &issuer.url, audience: &issuer.audience, now: server.now() };
    let claims = match jwt::verify(&token, &keys, &expected) {
        Err(JwtError::UnknownKey { .. }) => {
            let keys = sigstore.keys.keys(issuer, Some(&keys)).await.map_err(unknown)?;
            jwt::verify(&token, &keys, &expected)
        }
        checked => checked,
    };
    Ok((issuer, claims.map_err(|error| refused(&error))?))
}

fn unavailable(issuer: &Issuer, error: super::KeysError) -> Problem {
    tracing::warn!(issuer = issuer.url, error = chain(&*error), "the keys of an issuer are not known");
    let mut problem = Problem::invalid(format!("the keys of issuer `{}` cannot be fetched now", issuer.url));
    problem.status = StatusCode::SERVICE_UNAVAILABLE;
    problem
}

/// Takes the key that the request proves to have.
fn prove(request: &SigningCertRequest, identity: &Identity) -> Result<SubjectKey, Problem> {
    let refused = |error: request::RequestError| invalid(chain(&error));
    let csr = request.certificate_signing_request.as_deref().filter(|csr| !csr.is_empty());
    match (csr, &request.public_key_request) {
        (Some(csr), None) => {
            let bytes = fulcio::decode_bytes(csr).and_then(|bytes| String::from_utf8(bytes).ok());
            let pem = bytes.ok_or_else(|| invalid("`certificateSigningRequest` is not base64 of PEM"))?;
            request::from_csr(&pem).map_err(refused)
        }
        (None, Some(key)) => {
            let proof = fulcio::decode_bytes(&key.proof_of_possession);
            let proof = proof.ok_or_else(|| invalid("`proofOfPossession` is not base64"))?;
            request::from_proof(&key.public_key.content, &proof, &identity.challenge).map_err(refused)
        }
        _ => Err(invalid("exactly one of `publicKeyRequest` and `certificateSigningRequest` must be there")),
    }
}

/// Logs the certificate, then issues it.
async fn issue(server: &Arc<Server>, identity: Identity, key: SubjectKey) -> Result<Certificate, Problem> {
    server.must_not_be_revoked(&identity).await?;
    let (now, serial) = (server.now(), Serial::new(server.random()));
    let (server, name) = (Arc::clone(server), identity.name.clone());
    let issued = move || {
        let sigstore = server.sigstore.as_ref().ok_or(Refused::Absent)?;
        let Identity { name, issuer, values, .. } = &identity;
        let leaf = Leaf { key: &key, name, issuer, values, valid_from: now, serial };
        let draft: Draft = sigstore.authority.draft(&leaf)?;
        let index = sigstore.certificates.append(draft.entry().to_vec(), draft.precertificate().to_vec())?;
        let certificate = draft.finish(&sigstore.authority, &sigstore.log_key)?;
        Ok((index, certificate))
    };
    match tokio::task::spawn_blocking(issued).await.map_err(|error| Problem::internal(&error))? {
        Ok((index, certificate)) => {
            tracing::info!(
                identity = name.text(),
                index,
                "issued a certificate; the identity in it stays in the certificate log for ever"
            );
            Ok(certificate)
        }
        Err(Refused::Issue(error @ IssueError::Text { .. })) => Err(invalid(chain(&error))),
        Err(error) => Err(Problem::internal(&error)),
    }
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("this server issues no certificates")]
    Absent,
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Log(#[from] store::certificates::CertificateLogError),
}

/// `GET /api/v2/trustBundle`
pub(super) async fn trust_bundle(State(server): State<Arc<Server>>) -> Result<Response, Gateway> {
    let sigstore = server.sigstore()?;
    Ok(Json(TrustBundle { chains: vec![pem_chain([], sigstore)] }).into_response())
}

/// `GET /api/v2/configuration`
pub(super) async fn configuration(State(server): State<Arc<Server>>) -> Result<Response, Gateway> {
    let issuer = |issuer: &Issuer| fulcio::Issuer {
        issuer_url: issuer.url.clone(),
        audience: issuer.audience.clone(),
        challenge_claim: issuer.challenge_claim().to_owned(),
        spiffe_trust_domain: issuer.trust_domain().to_owned(),
        issuer_type: issuer.type_name().to_owned(),
        subject_domain: issuer.subject_domain().to_owned(),
    };
    let issuers = server.sigstore()?.issuers.iter().map(issuer).collect();
    Ok(Json(Configuration { issuers }).into_response())
}

fn pem_chain<'a>(leaf: impl IntoIterator<Item = &'a Certificate>, sigstore: &'a Sigstore) -> CertificateChain {
    let all = leaf.into_iter().chain(sigstore.authority.chain());
    CertificateChain { certificates: all.map(|one| pem::encode(pem::CERTIFICATE, one.der())).collect() }
}

fn invalid(message: impl Into<String>) -> Problem {
    Problem::invalid(message)
}
