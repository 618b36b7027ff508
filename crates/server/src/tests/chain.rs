use std::sync::Arc;

use attest::predicate::{Predicate, TABLE};
use attest::sample;
use serde_json::{Value, json};
use wire::digest::Digest;
use wire::sigstore_bundle::{self, Bundle};

use super::bench::{Bench, Cast, now};
use crate::Settings;

/// Kinds that a server takes from others, in the order of a service's life.
fn taken() -> impl Iterator<Item = Predicate> {
    let own = [Predicate::Publication, Predicate::Tag, Predicate::Grant];
    TABLE.iter().map(|row| row.predicate).filter(move |predicate| !own.contains(predicate))
}

fn body(name: &str, list: Vec<Value>) -> Vec<u8> {
    json!({ name: list }).to_string().into_bytes()
}

fn envelope_json(bench: &Bench, predicate: Predicate) -> Value {
    serde_json::to_value(bench.cast.sample(predicate)).expect("JSON")
}

#[tokio::test]
async fn envelopes_are_logged_and_come_back_as_bundles() {
    let bench = Bench::new().await;
    let envelopes: Vec<Value> = taken().map(|predicate| envelope_json(&bench, predicate)).collect();
    let all = body("envelopes", envelopes.clone());
    let added = bench.send("publisher", "POST /api/v1/statements", &[], Some(&all)).await.is(201).json();
    assert_eq!(added["version"], 1);
    assert_eq!(added["statements"].as_array().map(Vec::len), Some(taken().count()));
    for statement in added["statements"].as_array().expect("a list") {
        let bundle = Bundle::parse(statement["bundle"].to_string().as_bytes()).expect("a bundle");
        attest::open(&bundle, bench.home.trust(), now()).expect("verifies");
    }
    // Again: nothing new is logged.
    let size = bench.home.log().size();
    bench.send("deployer", "POST /api/v1/statements", &[], Some(envelopes[0].to_string().as_bytes())).await.is(201);
    assert_eq!(bench.home.log().size(), size);

    let greeter = sample::digest("greeter");
    let about = bench.ask("reader", &format!("GET /api/v1/statements?digest={greeter}")).await.is(200).json();
    let names: Vec<&str> =
        about["statements"].as_array().expect("a list").iter().filter_map(|s| s["name"].as_str()).collect();
    let expected = ["recipe", "run", "rebuilt", "test", "reference", "verdict", "deployment", "observation", "sbom"];
    assert_eq!(names, expected);
    let page = bench.ask("reader", &format!("GET /api/v1/statements?digest={greeter}&n=3")).await.is(200).json();
    let next = page["next"].as_u64().expect("a next page");
    let rest =
        bench.ask("reader", &format!("GET /api/v1/statements?digest={greeter}&after={next}")).await.is(200).json();
    assert_eq!(rest["statements"].as_array().map(Vec::len), Some(names.len() - 3));

    let payload = sample::recipe_payload();
    bench.ask("reader", &format!("GET /api/v1/statements/{payload}")).await.is(200).says("\"name\":\"recipe\"");
    let raw = bench
        .ask("reader", &format!("GET /api/v1/statements/{payload}/bundle"))
        .await
        .is(200)
        .has("content-type", sigstore_bundle::MEDIA_TYPE);
    Bundle::parse(&raw.body).expect("a bundle");
    let envelope = bench.ask("reader", &format!("GET /api/v1/statements/{payload}/envelope")).await.is(200);
    assert_eq!(envelope.json(), envelopes[0]);
    let unknown = Digest::of(b"unknown");
    bench.ask("reader", &format!("GET /api/v1/statements/{unknown}")).await.is(404).says("not-found");
}

#[tokio::test]
async fn what_is_not_trusted_is_not_taken() {
    let bench = Bench::new().await;
    let stranger = Cast::new();
    let size = bench.home.log().size();
    let post = async |value: Value| {
        bench.send("publisher", "POST /api/v1/statements", &[], Some(value.to_string().as_bytes())).await
    };
    let recipe = sample::statement(Predicate::Recipe);
    let foreign = serde_json::to_value(stranger.sample(Predicate::Recipe)).expect("JSON");
    post(foreign).await.is(422).says("statement-refused");
    let unauthorised = serde_json::to_value(bench.cast.sign(&recipe, "tester")).expect("JSON");
    post(unauthorised).await.is(403).says("lacks the role `builder`");
    let mut tampered = envelope_json(&bench, Predicate::Recipe);
    tampered["payload"] = envelope_json(&bench, Predicate::Run)["payload"].clone();
    post(tampered).await.is(422);
    for own in [Predicate::Grant, Predicate::Tag, Predicate::Publication] {
        post(envelope_json(&bench, own)).await.is(403).says("a server makes its own");
    }
    post(json!({})).await.is(400);
    post(json!({"envelopes": []})).await.is(400);
    post(json!({"envelopes": [{"payloadType": 1}]})).await.is(400);
    bench.send("publisher", "POST /api/v1/statements", &[], Some(b"no json")).await.is(400);
    bench.send("reader", "POST /api/v1/statements", &[], Some(b"{}")).await.is(403);
    assert_eq!(bench.home.log().size(), size);
}

#[tokio::test]
async fn statements_about_a_manifest_are_its_referrers() {
    let bench = Bench::new().await;
    let (digest, _) = bench.push_image("a", "x", "one").await;
    let statement = |n: u32| {
        let subject = wire::in_toto::ResourceDescriptor::named("image", &digest);
        wire::in_toto::Statement::new(vec![subject], "https://example.org/scan", json!({ "n": n }))
    };
    let add = async |n| {
        let envelope = serde_json::to_vec(&bench.cast.sign(&statement(n), "tester")).expect("JSON");
        bench.send("publisher", "POST /api/v1/statements", &[], Some(&envelope)).await.is(201)
    };
    add(1).await;
    let list = format!("GET /v2/a/referrers/{digest}");
    let first = bench.ask("reader", &list).await.is(200).json();
    assert_eq!(first["manifests"].as_array().map(Vec::len), Some(1));
    add(2).await;
    let second = bench.ask("reader", &list).await.is(200).json();
    assert_eq!(second["manifests"].as_array().map(Vec::len), Some(2));
    assert_eq!(bench.ask("reader", &list).await.is(200).json(), second);
    assert!(second["manifests"].as_array().expect("a list").contains(&first["manifests"][0]), "frozen");

    for referrer in second["manifests"].as_array().expect("a list") {
        assert_eq!(referrer["artifactType"], sigstore_bundle::MEDIA_TYPE);
        assert_eq!(referrer["annotations"]["dev.sigstore.bundle.predicateType"], "https://example.org/scan");
        let line = format!("GET /v2/a/manifests/{}", referrer["digest"].as_str().expect("a digest"));
        let manifest = bench.ask("reader", &line).await.is(200).json();
        assert_eq!(manifest["subject"]["digest"], digest.to_string());
        let layer = manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned();
        let bundle = bench.ask("reader", &format!("GET /v2/a/blobs/{layer}")).await.is(200);
        let bundle = Bundle::parse(&bundle.body).expect("a bundle");
        attest::open(&bundle, bench.home.trust(), now()).expect("verifies");
    }
    let line = format!("{list}?artifactType=application/vnd.dev.sigstore.bundle.v0.3%2Bjson");
    assert_eq!(bench.ask("reader", &line).await.is(200).json()["manifests"], second["manifests"]);
}

#[tokio::test]
async fn bundles_of_another_home_are_carried_unchanged() {
    let cast = Arc::new(Cast::new());
    let here = Bench::with(Arc::clone(&cast), "example.org/log", Settings::default()).await;
    let there = Bench::with(Arc::clone(&cast), "example.org/other", Settings::default()).await;
    let all = body("envelopes", taken().map(|predicate| envelope_json(&here, predicate)).collect());
    let made = here.send("publisher", "POST /api/v1/statements", &[], Some(&all)).await.is(201).json();
    let bundles: Vec<Value> =
        made["statements"].as_array().expect("a list").iter().map(|statement| statement["bundle"].clone()).collect();

    let sent = body("bundles", bundles.clone());
    there.send("publisher", "POST /api/v1/statements", &[], Some(&sent)).await.is(400).says("repository");
    there.send("team", "POST /api/v1/statements?repository=greeter", &[], Some(&sent)).await.is(403);
    let line = "POST /api/v1/statements?repository=team/greeter";
    let taken_in = there.send("team", line, &[], Some(&sent)).await.is(201).json();
    assert_eq!(taken_in["statements"].as_array().map(Vec::len), Some(bundles.len()));
    for (statement, bundle) in taken_in["statements"].as_array().expect("a list").iter().zip(&bundles) {
        assert_eq!(&statement["bundle"], bundle);
        assert_eq!(statement["elsewhere"]["origin"], "example.org/log");
    }
    let size = there.home.log().size();
    there.send("team", line, &[], Some(&sent)).await.is(201);
    assert_eq!(there.home.log().size(), size);

    let commit = format!("git:{}", sample::COMMIT);
    let line = format!("GET /api/v1/lineage?start={}&direction=back", sample::digest("greeter"));
    there.ask("reader", &line).await.is(200).says(&commit);
}

#[tokio::test]
async fn questions_about_the_chain() {
    let bench = Bench::new().await;
    let all = body("envelopes", taken().map(|predicate| envelope_json(&bench, predicate)).collect());
    bench.send("publisher", "POST /api/v1/statements", &[], Some(&all)).await.is(201);
    let commit = format!("git:{}", sample::COMMIT);
    let greeter = sample::digest("greeter").to_string();

    let back = bench.ask("reader", "GET /api/v1/lineage?start=env:production").await.is(200).json();
    let nodes = back["nodes"].as_array().expect("a list");
    let commit_node = nodes.iter().find(|node| node["id"] == commit.as_str()).expect("the commit is there");
    assert_eq!((&commit_node["kind"], &commit_node["digest"]), (&json!("commit"), &Value::Null));
    assert!(back["edges"].as_array().is_some_and(|edges| edges.iter().all(|edge| edge["relation"].is_string())));
    let forward = bench.ask("reader", &format!("GET /api/v1/lineage?start={commit}&direction=forward")).await.is(200);
    forward.says("env:production");
    bench.ask("reader", "GET /api/v1/lineage").await.is(400).says("start");
    bench.ask("reader", "GET /api/v1/lineage?start=x&direction=up").await.is(400).says("direction");

    bench.ask("reader", "GET /api/v1/nodes?q=greet").await.is(200).says(&greeter);
    bench.ask("reader", "GET /api/v1/nodes?q=serde").await.is(200).says("pkg:cargo/serde@1.0.229");
    let artifacts = bench.ask("reader", "GET /api/v1/artifacts").await.is(200).json();
    assert_eq!(artifacts["artifacts"].as_array().map(Vec::len), Some(2));
    bench.ask("reader", "GET /api/v1/artifacts?name=greeter").await.is(200).says(&greeter);
    bench.ask("reader", "GET /api/v1/environments").await.is(200).says("\"production\"").says("\"agrees\":true");
    bench.ask("reader", "GET /api/v1/environments/production").await.is(200).says("\"history\"").says(&greeter);
    bench.ask("reader", "GET /api/v1/environments/nowhere").await.is(404);
    bench.ask("reader", "GET /api/v1/wait?after=0").await.is(200).says("\"reached\":true");
    bench.ask("reader", "GET /api/v1/trusted_root.json").await.is(200).says("example.org/log");
    let server = bench.ask("reader", "GET /api/v1/server").await.is(200).json();
    assert_eq!(server["caller"], json!({"name": "reader", "may": ["read"]}));
    assert!(server["log_key"].as_str().is_some_and(|key| key.starts_with("example.org/log+")), "{server}");
    bench.ask("", "GET /healthz").await.is(200).says("\"ok\"");
    bench.ask("reader", "GET /metrics").await.is(200).says("assay_statements_total 11");
}

#[tokio::test]
async fn the_log_is_readable_by_auditors() {
    let bench = Bench::new().await;
    let checkpoint = bench
        .ask("reader", "GET /log/checkpoint")
        .await
        .is(200)
        .has("cache-control", "no-cache")
        .has("content-type", "text/plain; charset=utf-8");
    let size = bench.home.log().size();
    assert_eq!(checkpoint.text().lines().nth(1), Some(size.to_string().as_str()));
    let tile = bench
        .ask("reader", &format!("GET /log/tile/0/000.p/{size}"))
        .await
        .is(200)
        .has("cache-control", "public, max-age=31536000, immutable");
    assert_eq!(tile.body.len() as u64, size * 32);
    bench.ask("reader", &format!("GET /log/tile/entries/000.p/{size}")).await.is(200).says("assayIndex");
    for path in
        ["0/001", "0/000", "0/000.p/200", "9/9", "entries/../../key.pem", "..%2f..%2fkey.pem", "entries/%2e%2e/origin"]
    {
        bench.ask("reader", &format!("GET /log/tile/{path}")).await.is(404);
    }
    bench.ask("", "GET /log/checkpoint").await.is(401);
}

#[tokio::test]
async fn blobs_and_trees_by_digest() {
    let bench = Bench::new().await;
    let mut tree = model::tree::Tree::default();
    tree.insert("bin", model::tree::Entry::Directory).expect("fits");
    let (manifest, digest) = (tree.manifest(), tree.digest());
    let line = format!("PUT /api/v1/blobs/{digest}");
    bench.send("publisher", &line, &[], Some(b"other bytes")).await.is(400).says("the digest");
    bench.send("reader", &line, &[], Some(&manifest)).await.is(403);
    bench.send("deployer", &line, &[], Some(&manifest)).await.is(201).says("\"size\"");
    bench.send("deployer", &line, &[("Content-Length", "500")], Some(&manifest[..9])).await.is(400).says("ended early");
    assert_eq!(bench.ask("reader", &format!("GET /api/v1/trees/{digest}")).await.is(200).body, manifest);
    assert_eq!(bench.ask("reader", &format!("GET /api/v1/blobs/{digest}")).await.is(200).body, manifest);
    bench.ask("reader", &format!("GET /api/v1/blobs/{}", Digest::of(b"x"))).await.is(404);
    let blob = bench.push_blob("a", b"no tree").await;
    bench.ask("reader", &format!("GET /api/v1/trees/{blob}")).await.is(404);
    bench.push_image("private", "x", "secret").await;
    let secret = Digest::of(b"secret");
    bench.ask("reader", &format!("GET /api/v1/blobs/{secret}")).await.is(200);
    bench.ask("team", &format!("GET /api/v1/blobs/{secret}")).await.is(404);
}

#[tokio::test]
async fn one_request_answers_what_one_question_does() {
    let bench = Bench::new().await;
    let all = body("envelopes", taken().map(|predicate| envelope_json(&bench, predicate)).collect());
    bench.send("publisher", "POST /api/v1/statements", &[], Some(&all)).await.is(201);
    let greeter = sample::digest("greeter");
    let ask = async |path: &str| bench.ask("reader", &format!("GET /api/v1/{path}")).await;
    let list = |answer: &Value, name: &str| answer[name].as_array().expect("a list").len();

    let artifact = ask(&format!("artifacts/{greeter}")).await.is(200).json();
    assert_eq!((&artifact["version"], &artifact["artifact"]["name"]), (&json!(1), &json!("greeter")));
    ask(&format!("artifacts/{}", Digest::of(b"unknown"))).await.is(404).says("not-found");
    ask("artifacts/greeter").await.is(400);

    let policy = ask("policies/production").await.is(200).json();
    assert_eq!(policy["policy"]["digest"], json!(sample::policy().digest()));
    ask("policies/nothing").await.is(404).says("not-found");

    let nodes = ask(&format!("nodes?id=env:production&id=nothing&id={greeter}")).await.is(200).json();
    let names: Vec<&str> = nodes["nodes"].as_array().expect("a list").iter().filter_map(|n| n["id"].as_str()).collect();
    assert_eq!(names, ["env:production", greeter.to_string().as_str()], "in the order asked for");
    ask(&format!("nodes?{}", ["id=x"; 501].join("&"))).await.is(400).says("1 to 500 times");

    let edges = format!("edges?node={greeter}&node=env:production&direction=forward");
    let whole = ask(&edges).await.is(200).json();
    assert!(list(&whole, "edges") > 2 && whole["next"].is_null(), "{whole}");
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = ask(&format!("{edges}&n=1{after}")).await.is(200).json();
        found.extend(page["edges"].as_array().expect("a list").clone());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(json!(found), whole["edges"]);
    ask("edges").await.is(400).says("node");
    ask("edges?node=x&direction=up").await.is(400).says("direction");
    for after in ["x", "1.2", "1.2.3.4", "-1.2.3"] {
        ask(&format!("edges?node=x&after={after}")).await.is(400).says("no place in a list");
    }

    let (recipe, run) = (sample::recipe_payload(), sample::run_payload());
    let both = ask(&format!("statements?payload={run}&payload={recipe}")).await.is(200).json();
    assert_eq!((&both["statements"][0]["name"], &both["statements"][1]["name"]), (&json!("recipe"), &json!("run")));
    let first = ask(&format!("statements?payload={run}&payload={recipe}&n=1")).await.is(200).json();
    let rest = ask(&format!("statements?payload={run}&payload={recipe}&after={}", first["next"])).await.is(200).json();
    assert_eq!(rest["statements"], json!([both["statements"][1]]));
    ask(&format!("statements?payload={run}&digest={greeter}")).await.is(400).says("not for both");
    ask(&format!("statements?{}", vec![format!("payload={run}"); 65].join("&"))).await.is(400).says("1 to 64 times");
    ask("statements?payload=x").await.is(400);

    let kind = Predicate::Reference.uri();
    let named = ask(&format!("statements?predicate={kind}&bundles=true")).await.is(200).json();
    Bundle::parse(named["statements"][0]["bundle"].to_string().as_bytes()).expect("a bundle");
    let listed = ask(&format!("statements?predicate={kind}")).await.is(200).json();
    assert!(listed["statements"][0]["bundle"].is_null(), "{listed}");
    ask("statements?bundles=maybe").await.is(400).says("bundles");

    let one = ask("environments/production?service=greeter&n=1").await.is(200).json();
    assert_eq!(list(&one, "services"), 1);
    assert!(one["services"][0]["next"].is_u64(), "{one}");
    ask("environments/production?service=nothing").await.is(404);
}

#[tokio::test]
async fn what_a_token_does_not_cover_is_left_out_of_lists() {
    let bench = Bench::new().await;
    let (digest, _) = bench.push_image("private", "x", "one").await;
    let subject = wire::in_toto::ResourceDescriptor::named("image", &digest);
    let scan = wire::in_toto::Statement::new(vec![subject], "https://example.org/scan", json!({}));
    let payload = Digest::of(&scan.to_json());
    let envelope = serde_json::to_vec(&bench.cast.sign(&scan, "tester")).expect("JSON");
    bench.send("publisher", "POST /api/v1/statements", &[], Some(&envelope)).await.is(201);
    for path in [
        format!("statements?payload={payload}"),
        "statements?predicate=https://example.org/scan&bundles=true".to_owned(),
    ] {
        for (token, expected) in [("reader", 1), ("team", 0)] {
            let answer = bench.ask(token, &format!("GET /api/v1/{path}")).await.is(200).json();
            assert_eq!(answer["statements"].as_array().map(Vec::len), Some(expected), "{path} as {token}");
        }
    }
    bench.ask("team", &format!("GET /api/v1/statements/{payload}")).await.is(404);
}

#[tokio::test]
async fn each_bundle_comes_with_the_proof_of_its_time() {
    let cast = Arc::new(Cast::new());
    let here = Bench::with(Arc::clone(&cast), "example.org/log", Settings::default()).await;
    let there = Bench::with(Arc::clone(&cast), "example.org/other", Settings::default()).await;
    let sent = envelope_json(&here, Predicate::Recipe).to_string();
    here.send("publisher", "POST /api/v1/statements", &[], Some(sent.as_bytes())).await.is(201);
    let line = format!("GET /api/v1/statements/{}", sample::recipe_payload());
    let own = here.ask("reader", &line).await.is(200).json()["statements"][0].clone();
    let entry = serde_json::from_value(own["logged_proof"]["index_entry"].clone()).expect("an entry");
    let proven = tlog::verify_index(&entry, here.home.trust()).expect("proven");
    assert_eq!(json!(proven.envelope), own["envelope"]);
    assert_eq!(json!(proven.time), own["logged"]);

    // Brought to another log, it counts from then on: by the publication's index entry.
    let bundle = own["bundle"].to_string();
    there.send("publisher", "POST /api/v1/statements?repository=a", &[], Some(bundle.as_bytes())).await.is(201);
    let brought = there.ask("reader", &line).await.is(200).json()["statements"][0].clone();
    let entry = serde_json::from_value(brought["logged_proof"]["index_entry"].clone()).expect("an entry");
    let proven = tlog::verify_index(&entry, there.home.trust()).expect("proven");
    let publication = wire::dsse::Envelope::parse(brought["logged_proof"]["publication"].to_string().as_bytes());
    let publication = publication.expect("an envelope");
    assert_eq!(proven.envelope, Some(Digest::of(&publication.to_json())));
    let stated = wire::in_toto::Statement::parse(&publication.payload).expect("a statement");
    let manifest = brought["logged_proof"]["manifest"].as_str().expect("a manifest");
    assert_eq!(stated.digests().next(), Some(Digest::of(manifest.as_bytes())));
    assert!(manifest.contains(&Digest::of(&Bundle::parse(bundle.as_bytes()).expect("a bundle").to_json()).to_string()));
}
