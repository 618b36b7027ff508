//! What is stamped here is what [`crate::stamp`], written against others' stamps, takes; each change is not.

use wire::mutation::Mutator;

use super::*;
use crate::authority::{Authority as Trusted, Window};
use crate::issuing::{Authority, Below, Title, root};
use crate::stamp::{self, StampError};

const SIGNATURE: &[u8] = b"a signature";

fn now() -> Timestamp {
    "2026-11-22T19:41:00Z".parse().expect("a time")
}

fn stamper() -> (Stamper, Vec<Trusted>) {
    let key = || SigningKey::generate().expect("a key");
    let title = |common_name, number| Title {
        organization: "example.org/log",
        common_name,
        valid_from: now().plus_s(-60),
        valid_until: now().plus_s(1_000_000),
        serial: Serial::new([number; 20]),
    };
    let (root_key, own) = (key(), key());
    let anchor = root(&title("root", 1), &root_key, Below::Times).expect("a root");
    let authority = Authority::new(root_key, vec![anchor.clone()]).expect("its key");
    let chain = vec![authority.issue(&title("time", 2), &own, Below::Times).expect("issued"), anchor];
    let der: Vec<Vec<u8>> = chain.iter().map(|one| one.der().to_vec()).collect();
    let window = Window { start: now().plus_s(-60), end: None };
    let trusted = Trusted::new("tsa", &der, window).expect("an authority");
    (Stamper::new(own, chain).expect("its key"), vec![trusted])
}

/// A request, which a test may change.
fn request() -> TimeStampReq {
    let algorithm = AlgorithmIdentifierOwned { oid: Hash::Sha256.oid(), parameters: Some(Any::null()) };
    TimeStampReq {
        version: 1,
        imprint: Imprint { algorithm, hash: OctetString::new(Hash::Sha256.of(SIGNATURE)).expect("bytes") },
        policy: None,
        nonce: None,
        wants_certificate: true,
        extensions: None,
    }
}

fn answer(stamper: &Stamper, change: impl FnOnce(&mut TimeStampReq)) -> Vec<u8> {
    let mut request = request();
    change(&mut request);
    stamper.answer(&request.to_der().expect("DER"), now(), Serial::new([3; 20]))
}

#[test]
fn a_stamp_is_over_what_was_asked() {
    let (stamper, trusted) = stamper();
    for (hash, wants_certificate) in
        [(Hash::Sha256, true), (Hash::Sha256, false), (Hash::Sha384, true), (Hash::Sha512, true)]
    {
        let response = answer(&stamper, |request| {
            request.imprint.algorithm.oid = hash.oid();
            request.imprint.hash = OctetString::new(hash.of(SIGNATURE)).expect("bytes");
            request.wants_certificate = wants_certificate;
            request.policy = Some(own_policy());
        });
        let stamp = stamp::verify(&response, SIGNATURE, &trusted).expect("verifies");
        assert_eq!((stamp.at(), stamp.policy()), (now(), POLICY));
        let own = stamper.chain()[0].der();
        let carried = response.windows(own.len()).any(|window| window == own);
        assert_eq!(carried, wants_certificate, "{hash:?}");
        assert_eq!(stamp::verify(&response, b"another", &trusted), Err(StampError::Imprint));
    }
}

#[test]
fn the_nonce_comes_back() {
    let (stamper, trusted) = stamper();
    for nonce in [&[0x7f_u8][..], &[0, 0xff, 1, 2, 3, 4, 5, 6], &[0x80, 1]] {
        let nonce = Int::new(nonce).expect("a number");
        let response = answer(&stamper, |request| request.nonce = Some(nonce.clone()));
        stamp::verify(&response, SIGNATURE, &trusted).expect("verifies");
        let echoed = nonce.to_der().expect("DER");
        assert!(response.windows(echoed.len()).any(|window| window == echoed));
    }
}

#[test]
fn a_refusal_says_why() {
    let (stamper, trusted) = stamper();
    let sha1 = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
    let check = |response: Vec<u8>, refusal: Refusal| {
        assert_eq!(response, refusal.to_response(), "{refusal}");
        assert_eq!(stamp::verify(&response, SIGNATURE, &trusted), Err(StampError::Status(2)), "{refusal}");
    };
    check(answer(&stamper, |request| request.imprint.algorithm.oid = sha1), Refusal::Algorithm);
    let parameters = Any::encode_from(&sha1).expect("DER");
    check(answer(&stamper, |request| request.imprint.algorithm.parameters = Some(parameters)), Refusal::Algorithm);
    let short = OctetString::new([0; 31]).expect("bytes");
    check(answer(&stamper, |request| request.imprint.hash = short), Refusal::Request);
    check(answer(&stamper, |request| request.version = 2), Refusal::Format);
    check(answer(&stamper, |request| request.policy = Some(sha1)), Refusal::Policy);
    check(answer(&stamper, |request| request.extensions = Some(Vec::new())), Refusal::Extension);
    let long = Int::new(&[1; NONCE_MAX + 1]).expect("a number");
    check(answer(&stamper, |request| request.nonce = Some(long)), Refusal::Format);
    let whole = |bytes: &[u8]| stamper.answer(bytes, now(), Serial::new([3; 20]));
    let good = request().to_der().expect("DER");
    check(whole(&[]), Refusal::Format);
    check(whole(&good[1..]), Refusal::Format);
    check(whole(&[&good[..], &[0]].concat()), Refusal::Format);
    check(whole(&[0; REQUEST_SIZE_MAX + 1]), Refusal::Format);
    // failInfo is a BIT STRING: bit 15 is the last of the second byte.
    assert!(Refusal::Policy.to_response().ends_with(&[3, 3, 0, 0, 1]));
    assert!(Refusal::Algorithm.to_response().ends_with(&[3, 2, 7, 0x80]));
    assert!(Refusal::Failure.to_response().ends_with(&[3, 5, 6, 0, 0, 0, 0x40]));
}

#[test]
fn each_bit_of_a_stamp_counts() {
    let (stamper, trusted) = stamper();
    let good = answer(&stamper, |_| {});
    Mutator::new(17).each(4_000, &good, |bytes| {
        if bytes != good {
            // What stands outside of what is signed may be written otherwise, but never says anything else.
            if let Ok(stamp) = stamp::verify(bytes, SIGNATURE, &trusted) {
                assert_eq!(stamp.at(), now());
            }
        }
    });
    let other = self::stamper().1;
    stamp::verify(&good, SIGNATURE, &other).expect_err("another authority");
}

#[test]
fn the_other_form_of_a_request_gives_the_same() {
    let (stamper, trusted) = stamper();
    for (name, hash) in [("sha256", Hash::Sha256), ("sha384", Hash::Sha384), ("sha512", Hash::Sha512)] {
        let request = Request::of_parts(name, &hash.of(SIGNATURE), None, Some(u64::MAX), true).expect(name);
        let response = stamper.grant(&request, now(), Serial::new([4; 20])).expect("granted");
        stamp::verify(&response, SIGNATURE, &trusted).expect("verifies");
    }
    let hash = Hash::Sha256.of(SIGNATURE);
    for (name, hash, policy, refusal) in [
        ("sha1", &hash[..], None, Refusal::Algorithm),
        ("sha256", &hash[1..], None, Refusal::Request),
        ("sha256", &hash, Some("1.2.3"), Refusal::Policy),
        ("sha256", &hash, Some("x"), Refusal::Policy),
    ] {
        assert_eq!(Request::of_parts(name, hash, policy, None, false), Err(refusal));
    }
}

#[test]
fn a_stamper_has_its_own_key_and_is_no_authority() {
    let (stamper, _) = stamper();
    let chain = stamper.chain().to_vec();
    assert!(Stamper::new(SigningKey::generate().expect("a key"), chain.clone()).is_err());
    assert!(Stamper::new(stamper.key, vec![chain[1].clone()]).is_err());
    assert!(Stamper::new(SigningKey::generate().expect("a key"), Vec::new()).is_err());
}
