use wire::digest::Digest;

use super::bench::Bench;

#[tokio::test]
async fn a_blob_in_chunks() {
    let bench = Bench::new().await;
    let digest = Digest::of(b"hello world");

    let begun = bench.ask("publisher", "POST /v2/a/b/blobs/uploads/").await.is(202).has("range", "0-0");
    let place = begun.header("location").expect("a location").to_owned();

    bench
        .send("publisher", &format!("PATCH {place}"), &[("Content-Range", "0-5")], Some(b"hello "))
        .await
        .is(202)
        .has("location", &place)
        .has("range", "0-5");
    bench.ask("publisher", &format!("GET {place}")).await.is(204).has("range", "0-5").has("location", &place);
    bench
        .send("publisher", &format!("PUT {place}?digest={digest}"), &[("Content-Range", "6-10")], Some(b"world"))
        .await
        .is(201)
        .has("docker-content-digest", &digest.to_string())
        .has("location", &format!("/v2/a/b/blobs/{digest}"));

    let read = bench
        .ask("reader", &format!("GET /v2/a/b/blobs/{digest}"))
        .await
        .is(200)
        .has("content-length", "11")
        .has("docker-content-digest", &digest.to_string())
        .has("accept-ranges", "bytes");
    assert_eq!(read.body, b"hello world");
    bench.ask("publisher", &format!("GET {place}")).await.is(404).code("BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn chunks_out_of_order_are_refused_and_the_upload_goes_on() {
    let bench = Bench::new().await;
    let begun = bench.ask("publisher", "POST /v2/a/blobs/uploads/").await.is(202);
    let place = begun.header("location").expect("a location").to_owned();
    let patch = format!("PATCH {place}");

    bench
        .send("publisher", &patch, &[("Content-Range", "5-9")], Some(b"56789"))
        .await
        .is(416)
        .code("BLOB_UPLOAD_INVALID")
        .has("range", "0-0");
    bench.send("publisher", &patch, &[("Content-Range", "0-4")], Some(b"01234")).await.is(202);
    bench
        .send("publisher", &patch, &[("Content-Range", "0-4")], Some(b"01234"))
        .await
        .is(416)
        .has("range", "0-4")
        .has("location", &place);
    bench.send("publisher", &patch, &[("Content-Range", "5-6")], Some(b"567")).await.is(400).code("SIZE_INVALID");
    bench.send("publisher", &patch, &[("Content-Range", "9-5")], Some(b"567")).await.is(400);
    bench
        .send("publisher", &format!("PUT {place}?digest={}", Digest::of(b"x")), &[("Content-Range", "9-9")], Some(b"x"))
        .await
        .is(416)
        .has("range", "0-4");
    bench.send("publisher", &patch, &[("Content-Range", "5-9")], Some(b"56789")).await.is(202).has("range", "0-9");
    let digest = Digest::of(b"0123456789");
    bench.ask("publisher", &format!("PUT {place}?digest={digest}")).await.is(201);
}

#[tokio::test]
async fn a_truncated_upload_can_be_gone_on_with_even_after_a_restart() {
    let mut bench = Bench::new().await;
    let begun = bench.ask("publisher", "POST /v2/a/blobs/uploads/").await.is(202);
    let place = begun.header("location").expect("a location").to_owned();

    // Ten bytes announced, four sent, then the client is gone.
    bench.send("publisher", &format!("PATCH {place}"), &[("Content-Length", "10")], Some(b"0123")).await.is(400);
    bench.ask("publisher", &format!("GET {place}")).await.is(204).has("range", "0-3");
    bench.restart().await;
    bench.ask("publisher", &format!("GET {place}")).await.is(204).has("range", "0-3");
    let digest = Digest::of(b"0123456789");
    bench
        .send("publisher", &format!("PUT {place}?digest={digest}"), &[("Content-Range", "4-9")], Some(b"456789"))
        .await
        .is(201);
    assert_eq!(bench.ask("reader", &format!("GET /v2/a/blobs/{digest}")).await.is(200).body, b"0123456789");
}

#[tokio::test]
async fn wrong_digests_are_refused() {
    let bench = Bench::new().await;
    let other = Digest::of(b"other");
    bench
        .send("publisher", &format!("POST /v2/a/blobs/uploads/?digest={other}"), &[], Some(b"this"))
        .await
        .is(400)
        .code("DIGEST_INVALID")
        .says(&Digest::of(b"this").to_string());
    let begun = bench.ask("publisher", "POST /v2/a/blobs/uploads/").await.is(202);
    let place = begun.header("location").expect("a location").to_owned();
    bench
        .send("publisher", &format!("PUT {place}?digest=sha256:nothex"), &[], Some(b"x"))
        .await
        .is(400)
        .code("DIGEST_INVALID");
    bench.send("publisher", &format!("PUT {place}"), &[], Some(b"x")).await.is(400);
    bench
        .send("publisher", &format!("PUT {place}?digest={other}"), &[], Some(b"this"))
        .await
        .is(400)
        .code("DIGEST_INVALID");
    bench.ask("publisher", &format!("GET {place}")).await.is(404);
    bench.ask("reader", &format!("GET /v2/a/blobs/{other}")).await.is(404).code("BLOB_UNKNOWN");
    for line in ["GET /v2/a/blobs/sha256:0", "GET /v2/a/blobs/md5:00"] {
        bench.ask("reader", line).await.is(400).code("DIGEST_INVALID");
    }
    for id in ["x", "..%2F..%2Fetc", "00000000000000000000000000000000"] {
        bench.ask("publisher", &format!("GET /v2/a/blobs/uploads/{id}")).await.is(404).code("BLOB_UPLOAD_UNKNOWN");
    }
    bench.ask("publisher", "POST /v2/A/blobs/uploads/").await.is(400).code("NAME_INVALID");
}

#[tokio::test]
async fn sha512_blobs_are_taken() {
    let bench = Bench::new().await;
    let mut hasher = wire::digest::Hasher::new(wire::digest::Algorithm::Sha512);
    hasher.update(b"long");
    let digest = hasher.finish();
    bench.send("publisher", &format!("POST /v2/a/blobs/uploads/?digest={digest}"), &[], Some(b"long")).await.is(201);
    assert_eq!(bench.ask("reader", &format!("GET /v2/a/blobs/{digest}")).await.is(200).body, b"long");
}

#[tokio::test]
async fn an_upload_is_cancelled() {
    let bench = Bench::new().await;
    let begun = bench.ask("publisher", "POST /v2/a/blobs/uploads/").await.is(202);
    let place = begun.header("location").expect("a location").to_owned();
    bench.ask("publisher", &format!("DELETE {place}")).await.is(204);
    bench.ask("publisher", &format!("DELETE {place}")).await.is(404).code("BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn parts_of_a_blob() {
    let bench = Bench::new().await;
    let digest = bench.push_blob("a", b"0123456789").await;
    let line = format!("GET /v2/a/blobs/{digest}");
    let check = async |range: &str, status, body: &[u8], content_range: Option<&str>| {
        let answer = bench.send("reader", &line, &[("Range", range)], None).await.is(status);
        assert_eq!(answer.header("content-range"), content_range, "{range}");
        if status != 416 {
            assert_eq!(answer.body, body, "{range}");
        }
    };
    check("bytes=0-3", 206, b"0123", Some("bytes 0-3/10")).await;
    check("bytes=7-", 206, b"789", Some("bytes 7-9/10")).await;
    check("bytes=-2", 206, b"89", Some("bytes 8-9/10")).await;
    check("bytes=8-100", 206, b"89", Some("bytes 8-9/10")).await;
    check("bytes=10-", 416, b"", Some("bytes */10")).await;
    check("lines=1-2", 200, b"0123456789", None).await;

    let head = bench.ask("reader", &format!("HEAD /v2/a/blobs/{digest}")).await.is(200).has("content-length", "10");
    assert!(head.body.is_empty());
    let encoded = digest.to_string().replace(':', "%3A");
    bench.ask("reader", &format!("HEAD /v2/a/blobs/{encoded}")).await.is(200);
    let tag = head.header("etag").expect("a tag").to_owned();
    bench.send("reader", &line, &[("If-None-Match", &tag)], None).await.is(304);
    bench.ask("publisher", &format!("DELETE /v2/a/blobs/{digest}")).await.is(405).code("UNSUPPORTED");
}

#[tokio::test]
async fn a_blob_belongs_to_its_repository_until_it_is_mounted() {
    let bench = Bench::new().await;
    let digest = bench.push_blob("team/a", b"shared").await;
    bench.ask("reader", &format!("GET /v2/team/b/blobs/{digest}")).await.is(404).code("BLOB_UNKNOWN");

    let mount = |to: &str, from: &str| format!("POST /v2/{to}/blobs/uploads/?mount={digest}&from={from}");
    bench.ask("publisher", &mount("team/b", "team/a")).await.is(201).has("docker-content-digest", &digest.to_string());
    bench.ask("reader", &format!("GET /v2/team/b/blobs/{digest}")).await.is(200);
    // From a repository that does not have it, and from one that this token may not read: an upload begins instead.
    bench.ask("publisher", &mount("team/c", "nobody")).await.is(202);
    let private = bench.push_blob("private", b"secret").await;
    bench.ask("team", &format!("POST /v2/team/c/blobs/uploads/?mount={private}&from=private")).await.is(202);
    bench.ask("team", &format!("GET /v2/team/c/blobs/{private}")).await.is(404);
}

/// The client dies in the request that should end its upload: what came is kept, and it goes on from there.
#[tokio::test]
async fn a_last_request_that_was_cut_can_be_gone_on_with() {
    let bench = Bench::new().await;
    let digest = Digest::of(b"0123456789");
    let begun = bench.ask("publisher", "POST /v2/a/blobs/uploads/").await.is(202);
    let place = begun.header("location").expect("a location").to_owned();
    let put = format!("PUT {place}?digest={digest}");
    bench.send("publisher", &put, &[("Content-Length", "10")], Some(b"0123")).await.is(400).code("BLOB_UPLOAD_INVALID");
    bench.ask("reader", &format!("GET /v2/a/blobs/{digest}")).await.is(404);
    bench.ask("publisher", &format!("GET {place}")).await.is(204).has("range", "0-3").has("location", &place);
    // From the beginning again, and beyond the end of what is there: neither is what comes next.
    for range in ["0-9", "5-9"] {
        bench
            .send("publisher", &put, &[("Content-Range", range)], Some(&b"0123456789"[10 - range_size(range)..]))
            .await
            .is(416)
            .code("BLOB_UPLOAD_INVALID")
            .has("range", "0-3")
            .has("location", &place);
    }
    bench.send("publisher", &put, &[("Content-Range", "4-9")], Some(b"456789")).await.is(201);
    assert_eq!(bench.ask("reader", &format!("GET /v2/a/blobs/{digest}")).await.is(200).body, b"0123456789");
}

fn range_size(range: &str) -> usize {
    let (first, last) = range.split_once('-').expect("a range");
    last.parse::<usize>().expect("a number") - first.parse::<usize>().expect("a number") + 1
}

/// A request has the body that its head announces; what comes after it is not part of it, and what lacks makes it void.
#[tokio::test]
async fn a_body_is_as_long_as_its_head_says() {
    let bench = Bench::new().await;
    let begun = bench.ask("publisher", "POST /v2/a/blobs/uploads/").await.is(202);
    let place = begun.header("location").expect("a location").to_owned();
    let patch = format!("PATCH {place}");
    bench.send("publisher", &patch, &[("Content-Length", "4")], Some(b"0123456789")).await.is(202).has("range", "0-3");
    let both = [("Content-Length", "4"), ("Content-Range", "4-9")];
    bench.send("publisher", &patch, &both, Some(b"456789")).await.is(400).code("SIZE_INVALID").says("6 bytes long");
    bench.ask("publisher", &format!("GET {place}")).await.is(204).has("range", "0-3");
    let digest = Digest::of(b"0123");
    bench.ask("publisher", &format!("PUT {place}?digest={digest}")).await.is(201);

    let manifest = bench.image("a", "one").await.to_json();
    let digest = Digest::of(&manifest);
    let put = format!("PUT /v2/a/manifests/{digest}");
    for length in [manifest.len() + 9, manifest.len() - 9] {
        let length = length.to_string();
        let headers = [super::bench::MANIFEST, ("Content-Length", &length)];
        bench.send("publisher", &put, &headers, Some(&manifest)).await.is(400);
        bench.ask("reader", &format!("GET /v2/a/manifests/{digest}")).await.is(404);
    }
    let line = format!("POST /v2/a/blobs/uploads/?digest={}", Digest::of(b"0123456789"));
    bench.send("publisher", &line, &[("Content-Length", "20")], Some(b"0123456789")).await.is(400);
    bench
        .send("publisher", &line, &[("Content-Length", "5")], Some(b"0123456789"))
        .await
        .is(400)
        .code("DIGEST_INVALID");
    bench.ask("reader", &format!("GET /v2/a/blobs/{}", Digest::of(b"0123456789"))).await.is(404);
}
