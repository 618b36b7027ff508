//! What the specification's own conformance suite asks of a registry, in its order: pull, push, content discovery,
//! content management <https://github.com/opencontainers/distribution-spec/tree/v1.1.1/conformance>.

use wire::digest::Digest;
use wire::oci_image::{Descriptor, Manifest};

use super::bench::{Bench, MANIFEST};
use super::client::{Answer, send};

/// An answer of the 4xx class has a body that says why, in the specification's form and with one of its codes.
#[track_caller]
fn says_why(answer: &Answer) {
    const CODES: [&str; 14] = [
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "UNAUTHORIZED",
        "DENIED",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
    ];
    let errors = answer.json();
    let error = &errors["errors"][0];
    assert!(error["code"].as_str().is_some_and(|code| CODES.contains(&code)), "{errors}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{errors}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn pull() {
    let bench = Bench::new().await;
    let (digest, manifest) = bench.push_image("conformance/a", "tag", "one").await;
    let (blob, unknown) = (Digest::of(b"one"), Digest::of(b"unknown"));
    let at = |what: &str| format!("/v2/conformance/a/{what}");
    let ask = async |line: String| bench.ask("reader", &line).await;
    for missing in [at(&format!("blobs/{unknown}")), at(&format!("manifests/{unknown}")), at("manifests/no-such-tag")] {
        says_why(&ask(format!("GET {missing}")).await.is(404));
        assert!(ask(format!("HEAD {missing}")).await.is(404).body.is_empty());
    }
    let size = |answer: &Answer| answer.header("content-length").map(str::to_owned);
    let head = ask(format!("HEAD {}", at(&format!("blobs/{blob}")))).await.is(200);
    assert_eq!(size(&head).as_deref(), Some("3"));
    assert_eq!(ask(format!("GET {}", at(&format!("blobs/{blob}")))).await.is(200).body, b"one");
    for reference in ["tag".to_owned(), digest.to_string()] {
        let head = ask(format!("HEAD {}", at(&format!("manifests/{reference}")))).await.is(200);
        assert_eq!(size(&head), Some(manifest.len().to_string()));
        let got = ask(format!("GET {}", at(&format!("manifests/{reference}")))).await.is(200);
        assert_eq!((got.header("content-type"), &got.body), (Some(MANIFEST.1), &manifest));
    }
    says_why(&ask("GET /v2/conformance/A/manifests/tag".to_owned()).await.is(400));
    says_why(&ask(format!("GET {}", at("blobs/sha256:totallywrong"))).await.is(400));
}

#[tokio::test]
async fn anonymous_clients_are_challenged_with_bearer_and_basic() {
    let bench = Bench::new().await;
    for (line, scope) in [
        ("GET /v2/", None),
        ("GET /v2/a/b/manifests/x", Some("repository:a/b:pull")),
        ("POST /v2/a/b/blobs/uploads/", Some("repository:a/b:pull,push")),
    ] {
        let refused = bench.ask("", line).await.is(401);
        says_why(&refused);
        let challenges = refused.all("www-authenticate");
        let [bearer, basic] = challenges.as_slice() else { panic!("{challenges:?}") };
        assert!(bearer.starts_with(&format!("Bearer realm=\"http://{}/token\"", bench.address)), "{bearer}");
        assert!(bearer.contains("service=\"example.org/log\""), "{bearer}");
        assert_eq!(bearer.split("scope=\"").nth(1).and_then(|rest| rest.split('"').next()), scope);
        assert_eq!(*basic, "Basic realm=\"example.org/log\"");
    }
    // Each of the two leads in.
    let basic = format!("Basic {}", wire::base64::encode(b"any:reader"));
    send(&bench.address, "GET /v2/", &[("Authorization", &basic)], None).await.is(200);
    let token = send(&bench.address, "GET /token", &[("Authorization", &basic)], None).await.is(200).json();
    let bearer = format!("Bearer {}", token["token"].as_str().expect("a bearer"));
    send(&bench.address, "GET /v2/", &[("Authorization", &bearer)], None).await.is(200);
}

#[tokio::test]
async fn push() {
    let bench = Bench::new().await;
    let begin = async || {
        let begun = bench.ask("publisher", "POST /v2/conformance/a/blobs/uploads/").await.is(202);
        begun.header("location").expect("a location").to_owned()
    };
    // In one piece after a POST; streamed, without a range; in one request.
    let (one, two, three) = (Digest::of(b"one"), Digest::of(b"two"), Digest::of(b"three"));
    let place = begin().await;
    let ended = bench.send("publisher", &format!("PUT {place}?digest={one}"), &[], Some(b"one")).await.is(201);
    let location = ended.header("location").expect("a location").to_owned();
    bench.ask("reader", &format!("GET {location}")).await.is(200);
    let place = begin().await;
    let streamed = bench.send("publisher", &format!("PATCH {place}"), &[], Some(b"two")).await.is(202);
    let place = streamed.header("location").expect("a location").to_owned();
    bench.ask("publisher", &format!("PUT {place}?digest={two}")).await.is(201);
    let at_once = format!("POST /v2/conformance/a/blobs/uploads/?digest={three}");
    bench.send("publisher", &at_once, &[], Some(b"three")).await.is(201);

    // A mount without a source, and of what is not there, is an upload.
    let mount = format!("POST /v2/conformance/b/blobs/uploads/?mount={one}");
    bench.ask("publisher", &mount).await.is(202);
    bench.ask("publisher", &format!("{mount}&from=conformance/none")).await.is(202);
    bench.ask("publisher", &format!("{mount}&from=conformance/a")).await.is(201);
    bench.ask("reader", &format!("GET /v2/conformance/b/blobs/{one}")).await.is(200);

    // Manifests: with layers, without any, with one that was never pushed.
    let blob = |digest, size| Descriptor::new("application/octet-stream", digest, size);
    let put = async |tag: &str, manifest: &Manifest| {
        let line = format!("PUT /v2/conformance/a/manifests/{tag}");
        bench.send("publisher", &line, &[MANIFEST], Some(&manifest.to_json())).await
    };
    let whole = Manifest::new(blob(one, 3), vec![blob(two, 3), blob(three, 5)]);
    let location = put("test0", &whole).await.is(201).header("location").expect("a location").to_owned();
    bench.ask("reader", &format!("GET {location}")).await.is(200);
    put("empty-layers", &Manifest::new(blob(one, 3), Vec::new())).await.is(201);
    let lacking = Manifest::new(blob(one, 3), vec![blob(Digest::of(b"never"), 5)]);
    says_why(&put("lacking", &lacking).await.is(400).code("MANIFEST_BLOB_UNKNOWN"));
    // A subject need not be there; the answer names it.
    let mut about = Manifest::new(Descriptor::empty(), vec![Descriptor::empty()]);
    about.artifact_type = Some("application/vnd.example".to_owned());
    about.subject = Some(Descriptor::new(MANIFEST.1, Digest::of(b"later"), 5));
    put("about", &about).await.is(201).has("oci-subject", &Digest::of(b"later").to_string());
}

#[tokio::test]
async fn content_discovery_and_management() {
    let bench = Bench::new().await;
    let (digest, manifest) = bench.push_image("conformance/a", "test0", "one").await;
    for tag in ["test1", "test2", "test3"] {
        let line = format!("PUT /v2/conformance/a/manifests/{tag}");
        bench.send("publisher", &line, &[MANIFEST], Some(&manifest)).await.is(201);
    }
    let tags = async |query: &str| {
        let list = bench.ask("reader", &format!("GET /v2/conformance/a/tags/list{query}")).await.is(200).json();
        assert_eq!(list["name"], "conformance/a");
        let tags = list["tags"].as_array().expect("a list").iter().filter_map(|tag| tag.as_str().map(str::to_owned));
        tags.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(tags("").await, "test0 test1 test2 test3");
    assert_eq!(tags("?n=2").await, "test0 test1");
    assert_eq!(tags("?n=2&last=test1").await, "test2 test3");
    assert_eq!(tags("?last=test3").await, "");
    let none = bench.ask("reader", &format!("GET /v2/conformance/a/referrers/{digest}")).await.is(200).json();
    assert_eq!((&none["schemaVersion"], &none["manifests"]), (&2.into(), &serde_json::json!([])));

    // Tags can be deleted; manifests and blobs are evidence, and 405 is what the specification has for that.
    bench.ask("publisher", "DELETE /v2/conformance/a/manifests/test3").await.is(202);
    bench.ask("reader", "GET /v2/conformance/a/manifests/test3").await.is(404);
    assert_eq!(tags("").await, "test0 test1 test2");
    let blob = Digest::of(b"one");
    for line in [format!("manifests/{digest}"), format!("blobs/{blob}")] {
        says_why(
            &bench.ask("publisher", &format!("DELETE /v2/conformance/a/{line}")).await.is(405).code("UNSUPPORTED"),
        );
        bench.ask("reader", &format!("GET /v2/conformance/a/{line}")).await.is(200);
    }
}
