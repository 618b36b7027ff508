use serde_json::json;
use wire::digest::Digest;
use wire::oci_image::{Descriptor, Index, MEDIA_TYPE_INDEX};

use super::bench::{Bench, MANIFEST};

const INDEX: (&str, &str) = ("Content-Type", MEDIA_TYPE_INDEX);

#[tokio::test]
async fn a_push_by_tag_and_by_digest() {
    let bench = Bench::new().await;
    let size = bench.home.log().size();
    let (digest, manifest) = bench.push_image("a/b", "main", "one").await;
    // Publication and tag, each with its index entry, in one commit.
    assert_eq!(bench.home.log().size(), size + 4);
    for reference in ["main", &digest.to_string()] {
        let line = format!("/v2/a/b/manifests/{reference}");
        let read = bench
            .ask("reader", &format!("GET {line}"))
            .await
            .is(200)
            .has("content-type", MANIFEST.1)
            .has("docker-content-digest", &digest.to_string());
        assert_eq!(read.body, manifest);
        let head = bench
            .ask("reader", &format!("HEAD {line}"))
            .await
            .is(200)
            .has("content-length", &manifest.len().to_string())
            .has("docker-content-digest", &digest.to_string());
        assert!(head.body.is_empty());
        bench
            .send("reader", &format!("GET {line}"), &[("If-None-Match", &format!("\"{digest}\""))], None)
            .await
            .is(304);
    }
    // The same push again states nothing new.
    bench.send("publisher", "PUT /v2/a/b/manifests/main", &[MANIFEST], Some(&manifest)).await.is(201);
    assert_eq!(bench.home.log().size(), size + 4);
    let tagged = format!("PUT /v2/a/b/manifests/{digest}?tag=x&tag=y");
    let answer = bench.send("publisher", &tagged, &[MANIFEST], Some(&manifest)).await.is(201);
    assert_eq!(answer.all("oci-tag"), ["x", "y"]);
    bench.ask("reader", "GET /v2/a/b/manifests/nothing").await.is(404).code("MANIFEST_UNKNOWN");
    bench.ask("reader", "GET /v2/other/manifests/main").await.is(404).code("MANIFEST_UNKNOWN");
    bench.ask("reader", &format!("GET /v2/other/manifests/{digest}")).await.is(404).code("MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    let bench = Bench::new().await;
    let manifest = bench.image("a", "one").await;
    let put = "PUT /v2/a/manifests/main";
    let send = async |headers: (&'static str, &'static str), body: Vec<u8>| {
        bench.send("publisher", put, &[headers], Some(&body)).await
    };
    send(MANIFEST, vec![b' '; (4 << 20) + 1]).await.is(413).code("MANIFEST_INVALID");
    send(MANIFEST, b"{".to_vec()).await.is(400).code("MANIFEST_INVALID");
    send(MANIFEST, b"{}".to_vec()).await.is(400).code("MANIFEST_INVALID");
    send(INDEX, manifest.to_json()).await.is(400).code("MANIFEST_INVALID");
    send(("Content-Type", "text/plain"), manifest.to_json()).await.is(400).code("MANIFEST_INVALID");
    send(("X-Nothing", "1"), manifest.to_json()).await.is(400).code("MANIFEST_INVALID");
    let line = format!("PUT /v2/a/manifests/{}", Digest::of(b"other"));
    bench.send("publisher", &line, &[MANIFEST], Some(&manifest.to_json())).await.is(400).code("DIGEST_INVALID");
    for reference in ["-x", ".x", &"x".repeat(129), "a%20b"] {
        let line = format!("PUT /v2/a/manifests/{reference}");
        bench.send("publisher", &line, &[MANIFEST], Some(&manifest.to_json())).await.is(400);
    }

    let mut unknown = manifest.clone();
    unknown.layers.push(Descriptor::new("x/y", Digest::of(b"never pushed"), 12));
    send(MANIFEST, unknown.to_json())
        .await
        .is(400)
        .code("MANIFEST_BLOB_UNKNOWN")
        .says(&Digest::of(b"never pushed").to_string());
    let elsewhere = bench.push_blob("b", b"of another repository").await;
    let mut stolen = manifest.clone();
    stolen.layers.push(Descriptor::new("x/y", elsewhere, 21));
    send(MANIFEST, stolen.to_json()).await.is(400).code("MANIFEST_BLOB_UNKNOWN");
    let mut sized = manifest.clone();
    sized.layers[0].size += 1;
    send(MANIFEST, sized.to_json()).await.is(400).code("SIZE_INVALID");
    bench.ask("reader", "GET /v2/a/tags/list").await.is(404).code("NAME_UNKNOWN");
    send(MANIFEST, manifest.to_json()).await.is(201);
}

#[tokio::test]
async fn an_index_needs_its_manifests() {
    let bench = Bench::new().await;
    let (digest, manifest) = bench.push_image("a", "", "one").await;
    let child = Descriptor::new(MANIFEST.1, digest, manifest.len() as u64);
    let index = Index::new(vec![child.clone()]).to_json();
    bench
        .send("publisher", "PUT /v2/b/manifests/all", &[INDEX], Some(&index))
        .await
        .is(400)
        .code("MANIFEST_BLOB_UNKNOWN");
    bench.send("publisher", "PUT /v2/a/manifests/all", &[INDEX], Some(&index)).await.is(201);
    bench.ask("reader", "GET /v2/a/manifests/all").await.is(200).has("content-type", INDEX.1);
}

#[tokio::test]
async fn release_tags_stay_and_others_move_by_a_statement() {
    let mut bench = Bench::new().await;
    let (one, _) = bench.push_image("a", "v1.0.0", "one").await;
    let (_, two) = bench.push_image("a", "main", "two").await;
    let (_, three) = bench.push_image("a", "main", "three").await;

    bench
        .send("publisher", "PUT /v2/a/manifests/v1.0.0", &[MANIFEST], Some(&two))
        .await
        .is(409)
        .code("DENIED")
        .says("v1.0.0")
        .says(&one.to_string())
        .says("v#*");
    bench
        .send("publisher", &format!("PUT /v2/a/manifests/{}?tag=v1.0.0", Digest::of(&two)), &[MANIFEST], Some(&two))
        .await
        .is(409)
        .code("DENIED");
    bench.ask("publisher", "DELETE /v2/a/manifests/v1.0.0").await.is(409).code("DENIED");
    bench.ask("publisher", &format!("DELETE /v2/a/manifests/{one}")).await.is(405).code("UNSUPPORTED");
    bench.ask("reader", "HEAD /v2/a/manifests/v1.0.0").await.is(200).has("docker-content-digest", &one.to_string());

    let moves = bench.home.ledger().tag_history("a", "main", &store::ledger::Page::first(10)).await.expect("asked");
    assert_eq!(moves.len(), 2);
    assert_eq!((moves[0].from, moves[0].to), (Some(Digest::of(&two)), Some(Digest::of(&three))));
    assert_eq!(moves[0].actor, "publisher");

    bench.ask("publisher", "DELETE /v2/a/manifests/main").await.is(202);
    bench.ask("publisher", "DELETE /v2/a/manifests/main").await.is(404).code("MANIFEST_UNKNOWN");
    bench.ask("reader", "GET /v2/a/manifests/main").await.is(404);
    // What tags say survives a restart: it is in the log.
    bench.restart().await;
    bench.ask("reader", "GET /v2/a/manifests/main").await.is(404);
    bench.ask("reader", "HEAD /v2/a/manifests/v1.0.0").await.is(200).has("docker-content-digest", &one.to_string());
}

#[tokio::test]
async fn tags_come_in_pages() {
    let bench = Bench::new().await;
    let (digest, manifest) = bench.push_image("a/b", "", "one").await;
    bench.ask("reader", "GET /v2/a/b/tags/list").await.is(200).says(r#""tags":[]"#);
    let tags = ["d", "a", "c", "b", "e"].map(|tag| format!("tag={tag}")).join("&");
    bench
        .send("publisher", &format!("PUT /v2/a/b/manifests/{digest}?{tags}"), &[MANIFEST], Some(&manifest))
        .await
        .is(201);

    let first = bench
        .ask("reader", "GET /v2/a/b/tags/list?n=2")
        .await
        .is(200)
        .has("link", "</v2/a/b/tags/list?n=2&last=b>; rel=\"next\"");
    assert_eq!(first.json(), json!({"name": "a/b", "tags": ["a", "b"]}));
    let last = bench.ask("reader", "GET /v2/a/b/tags/list?n=3&last=b").await.is(200);
    assert_eq!(last.json()["tags"], json!(["c", "d", "e"]));
    assert_eq!(last.header("link"), None);
    bench.ask("reader", "GET /v2/a/b/tags/list?n=0").await.is(200).says(r#""tags":[]"#);
    bench.ask("reader", "GET /v2/a/b/tags/list?n=x").await.is(400);
    bench.ask("reader", "GET /v2/a/tags/list").await.is(404).code("NAME_UNKNOWN");
}

#[tokio::test]
async fn referrers_are_filtered_and_paged() {
    let bench = Bench::new().await;
    let subject = Digest::of(b"a manifest that is not here");
    let list = format!("GET /v2/a/referrers/{subject}");
    bench.ask("reader", &list).await.is(200).has("content-type", INDEX.1).says(r#""manifests":[]"#);
    bench.ask("reader", "GET /v2/a/referrers/sha256:0").await.is(400).code("DIGEST_INVALID");

    let count = registry::REFERRERS_A_PAGE + 10;
    let mut pushes = Vec::new();
    for number in 0..count {
        let mut manifest = wire::oci_image::Manifest::new(Descriptor::empty(), vec![Descriptor::empty()]);
        manifest.artifact_type = Some(if number % 50 == 0 { "x/rare+json" } else { "x/usual" }.to_owned());
        manifest.annotations = Some([("number".to_owned(), number.to_string())].into());
        manifest.subject = Some(Descriptor::new(MANIFEST.1, subject, 7));
        let json = manifest.to_json();
        let line = format!("PUT /v2/a/manifests/{}", Digest::of(&json));
        let bench = &bench;
        pushes.push(async move { bench.send("publisher", &line, &[MANIFEST], Some(&json)).await });
    }
    for push in futures_util::future::join_all(pushes).await {
        push.is(201).has("oci-subject", &subject.to_string());
    }
    let first = bench.ask("reader", &list).await.is(200);
    let link = first.header("link").expect("a next page").to_owned();
    let next = wire::oci_distribution::header::parse_link_next(&link).expect("a link").to_owned();
    let second = bench.ask("reader", &format!("GET {next}")).await.is(200);
    assert_eq!(second.header("link"), None);
    let mut found: Vec<String> = Vec::new();
    for page in [first.json(), second.json()] {
        for manifest in page["manifests"].as_array().expect("a list") {
            assert!(
                manifest["artifactType"].is_string() && manifest["annotations"]["number"].is_string(),
                "{manifest}"
            );
            found.push(manifest["digest"].as_str().expect("a digest").to_owned());
        }
    }
    found.dedup();
    assert_eq!(found.len(), count);

    let rare = bench
        .ask("reader", &format!("{list}?artifactType=x/rare%2Bjson"))
        .await
        .is(200)
        .has("oci-filters-applied", "artifactType");
    assert_eq!(rare.json()["manifests"].as_array().map(Vec::len), Some(count.div_ceil(50)));

    // A filtered list has pages, too, and each says that it is filtered.
    let usual = format!("{list}?artifactType=x/usual");
    let first = bench.ask("reader", &usual).await.is(200).has("oci-filters-applied", "artifactType");
    let link = first.header("link").expect("a next page").to_owned();
    let next = wire::oci_distribution::header::parse_link_next(&link).expect("a link").to_owned();
    assert!(next.contains("artifactType=x/usual"), "{next}");
    let second = bench.ask("reader", &format!("GET {next}")).await.is(200).has("oci-filters-applied", "artifactType");
    assert_eq!(second.header("link"), None);
    let size = |page: &super::client::Answer| page.json()["manifests"].as_array().map_or(0, Vec::len);
    assert_eq!(size(&first) + size(&second), count - count.div_ceil(50));
}
