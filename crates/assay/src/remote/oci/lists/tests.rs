use wire::digest::{Algorithm, Hasher};

use super::*;

fn descriptor(text: &str) -> Descriptor {
    Descriptor::new(MEDIA_TYPE_MANIFEST, Digest::of(text.as_bytes()), 1)
}

#[test]
fn the_tag_of_a_list_fits() {
    let tag = fallback_tag(&Digest::of(b"{}")).expect("a tag");
    assert_eq!(tag.as_str(), "sha256-44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    let tag = fallback_tag(&Hasher::new(Algorithm::Sha512).finish()).expect("a tag");
    assert_eq!(tag.as_str().len(), "sha512-".len() + 64);
}

#[test]
fn a_list_grows_by_what_it_lacks() {
    let (a, b) = (descriptor("a"), descriptor("b"));
    let digests =
        |index: Option<Index>| index.map(|index| index.manifests.iter().map(|d| d.digest).collect::<Vec<_>>());
    assert_eq!(digests(with_referrers(None, &[])), None);
    assert_eq!(digests(with_referrers(None, std::slice::from_ref(&a))), Some(vec![a.digest]));
    let known = Index::new(vec![a.clone()]);
    assert_eq!(digests(with_referrers(Some(known.clone()), std::slice::from_ref(&a))), None);
    assert_eq!(
        digests(with_referrers(Some(known), &[a.clone(), b.clone(), b.clone()])),
        Some(vec![a.digest, b.digest])
    );
}
