use std::sync::Arc;

use super::bench::{Bench, Cast, MANIFEST};
use super::client::send;
use crate::Settings;

fn basic(password: &str) -> String {
    format!("Basic {}", wire::base64::encode(format!("anybody:{password}").as_bytes()))
}

#[tokio::test]
async fn nobody_is_told_how_to_sign_in() {
    let bench = Bench::new().await;
    let lines = ["GET /v2/", "GET /v2", "GET /v2/a/manifests/x", "POST /v2/a/blobs/uploads/", "PUT /v2/a/manifests/x"];
    for line in lines {
        let answer = bench.ask("", line).await.is(401).code("UNAUTHORIZED");
        let challenges = answer.all("www-authenticate");
        assert_eq!(challenges.len(), 2, "{line}");
        assert!(
            challenges[0].starts_with(&format!("Bearer realm=\"http://{}/token\"", bench.address)),
            "{challenges:?}"
        );
        assert_eq!(challenges[1], "Basic realm=\"example.org/log\"");
    }
    let answer = bench.ask("", "POST /v2/a/b/blobs/uploads/").await.is(401);
    assert!(answer.all("www-authenticate")[0].ends_with("scope=\"repository:a/b:pull,push\""));
}

#[tokio::test]
async fn basic_bearer_and_short_lived_bearers_are_taken() {
    let bench = Bench::new().await;
    let ask =
        async |authorization: &str| send(&bench.address, "GET /v2/", &[("Authorization", authorization)], None).await;
    ask(&basic("reader")).await.is(200).has("docker-distribution-api-version", "registry/2.0");
    ask("Bearer reader").await.is(200);
    for wrong in [&basic("wrong"), "Bearer wrong", "Basic %%%", "Digest x", "Bearer assay1.9999999999.-.00"] {
        ask(wrong).await.is(401);
    }
    let line = "GET /token?service=example.org/log&scope=repository:a:pull";
    let token = send(&bench.address, line, &[("Authorization", &basic("reader"))], None).await.is(200);
    let bearer = token.json()["token"].as_str().expect("a bearer").to_owned();
    ask(&format!("Bearer {bearer}")).await.is(200);
    ask(&format!("Bearer {bearer}0")).await.is(401);
    send(&bench.address, line, &[], None).await.is(401);
    send(&bench.address, line, &[("Authorization", &basic("wrong"))], None).await.is(401);
}

#[tokio::test]
async fn each_role_may_what_it_may() {
    let bench = Bench::new().await;
    bench.push_image("team/a", "x", "one").await;
    bench.push_image("other", "x", "one").await;
    for (line, role_may) in [
        ("GET /v2/team/a/manifests/x", "reader publisher deployer admin team"),
        ("GET /v2/other/manifests/x", "reader publisher deployer admin"),
        ("POST /v2/team/a/blobs/uploads/", "publisher admin team"),
        ("POST /v2/other/blobs/uploads/", "publisher admin"),
        ("DELETE /v2/other/manifests/nothing", "publisher admin"),
        ("GET /api/v1/tokens", "admin"),
        ("DELETE /api/v1/tokens/sha256:0000000000000000000000000000000000000000000000000000000000000000", "admin"),
        ("GET /api/v1/server", "reader publisher deployer admin team"),
        ("GET /log/checkpoint", "reader publisher deployer admin team"),
        ("GET /metrics", "reader publisher deployer admin team"),
    ] {
        for token in ["reader", "publisher", "deployer", "admin", "team"] {
            let status = bench.ask(token, line).await.status;
            let may = role_may.split(' ').any(|name| name == token);
            assert_eq!(status != 403, may, "{line} as {token}: {status}");
        }
        bench.ask("", line).await.is(401);
    }
    bench
        .send("reader", "PUT /v2/other/manifests/x", &[MANIFEST], Some(b"{}"))
        .await
        .is(403)
        .code("DENIED")
        .says("reader");
}

#[tokio::test]
async fn tokens_are_given_and_revoked_by_statements() {
    let mut bench = Bench::new().await;
    let new = br#"{"name":"ci","role":"publisher","repositories":["team/*"]}"#;
    let made =
        bench.send("admin", "POST /api/v1/tokens", &[], Some(new)).await.is(201).has("cache-control", "no-store");
    let token = made.json()["token"].as_str().expect("a token").to_owned();
    let digest = made.json()["digest"].as_str().expect("a digest").to_owned();
    bench.ask(&token, "POST /v2/team/x/blobs/uploads/").await.is(202);
    bench.ask(&token, "POST /v2/x/blobs/uploads/").await.is(403);
    bench.restart().await;
    bench.ask(&token, "POST /v2/team/x/blobs/uploads/").await.is(202);
    bench.ask("admin", "GET /api/v1/tokens").await.is(200).says(&digest).says("\"ci\"");
    let bearer = send(&bench.address, "GET /token", &[("Authorization", &basic(&token))], None).await.is(200);
    let bearer = bearer.json()["token"].as_str().expect("a bearer").to_owned();
    bench.ask(&bearer, "GET /v2/").await.is(200);

    bench.ask("admin", &format!("DELETE /api/v1/tokens/{digest}")).await.is(200).says("\"ci\"");
    bench.ask(&token, "GET /v2/").await.is(401);
    bench.ask(&bearer, "GET /v2/").await.is(401);
    bench.ask("admin", &format!("DELETE /api/v1/tokens/{digest}")).await.is(404);

    for bad in [
        &b"{"[..],
        br#"{"name":"","role":"reader","repositories":["*"]}"#,
        br#"{"name":"x<y","role":"reader","repositories":["*"]}"#,
        br#"{"name":"x","role":"owner","repositories":["*"]}"#,
        br#"{"name":"x","role":"reader","repositories":[]}"#,
        br#"{"name":"x","role":"reader","repositories":["a b"]}"#,
        br#"{"name":"x","role":"reader","repositories":["*"],"more":1}"#,
    ] {
        bench.send("admin", "POST /api/v1/tokens", &[], Some(bad)).await.is(400).says("\"code\":\"invalid-request\"");
    }
}

#[tokio::test]
async fn public_reading_still_asks_who_pushes() {
    let settings = Settings { anonymous_read: true, ..Settings::default() };
    let bench = Bench::with(Arc::new(Cast::new()), "example.org/log", settings).await;
    bench.push_image("a", "x", "one").await;
    bench.ask("", "GET /v2/").await.is(401);
    bench.ask("", "GET /v2/a/manifests/x").await.is(200);
    let bearer = send(&bench.address, "GET /token", &[], None).await.is(200).json();
    let bearer = bearer["token"].as_str().expect("a bearer").to_owned();
    bench.ask(&bearer, "GET /v2/").await.is(200);
    bench.ask(&bearer, "GET /v2/a/manifests/x").await.is(200);
    bench.ask(&bearer, "POST /v2/a/blobs/uploads/").await.is(401);
    bench.ask("", "POST /v2/a/blobs/uploads/").await.is(401);
    bench.ask("", "GET /").await.is(200);
    bench.ask("", "GET /api/v1/tokens").await.is(401);
}

#[tokio::test]
async fn every_path_of_the_table_is_routed() {
    let bench = Bench::new().await;
    for route in crate::ROUTES {
        let path = route.path.replace("{name}", "a").replace("{*path}", "0/000").replace(['{', '}'], "");
        let answer = bench.ask("admin", &format!("{} {path}", route.method)).await;
        // What is missing is named; an unknown path and a wrong method are not.
        assert!(answer.status != 405 || route.method == "DELETE", "{} {path}: {}", route.method, answer.status);
        for nowhere in ["no such path", "no such page"] {
            assert!(!answer.text().contains(nowhere), "{} {path}: {}", route.method, answer.text());
        }
    }
    bench.ask("admin", "GET /api/v1/nothing").await.is(404).says("no such path");
    bench.ask("admin", "GET /v2/nothing").await.is(404).says("no such path");
    bench.ask("admin", "GET /nothing").await.is(404).says("no such page");
}

/// The documentation has each row of the table, and no path that is not in it.
#[test]
fn every_path_of_the_table_is_documented() {
    let page = include_str!("../../../../docs/formats/api.md");
    let rows = page.lines().filter(|line| {
        ["GET", "POST", "PUT", "PATCH", "DELETE"].iter().any(|method| line.starts_with(&format!("| {method} | `/")))
    });
    let documented: Vec<&str> = rows.collect();
    for route in crate::ROUTES {
        let does = route.does.split_once(": ").map_or(route.does, |(_, does)| does);
        let row = format!("| {} | `{}` | {} | {does} |", route.method, route.path, route.role);
        assert!(documented.contains(&row.as_str()), "docs/formats/api.md lacks: {row}");
    }
    assert_eq!(documented.len(), crate::ROUTES.len());
}

#[tokio::test]
async fn foreign_heads_and_bodies_do_no_harm() {
    let bench = Bench::new().await;
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let lines = [
        "PUT /v2/a/manifests/x",
        "POST /api/v1/statements",
        "POST /login",
        "PATCH /v2/a/blobs/uploads/x",
        "GET /search?q=",
    ];
    let seeds: [&[u8]; 3] = [
        br#"{"schemaVersion":2,"config":{},"layers":[]}"#,
        br#"{"payloadType":"a","payload":"b"}"#,
        b"token=a&next=%2F",
    ];
    for _ in 0..200 {
        let mut body = seeds[random(seeds.len())].to_vec();
        for _ in 0..random(4) {
            let at = random(body.len());
            body[at] = random(256) as u8;
        }
        let line = lines[random(lines.len())];
        let status = bench.send("admin", line, &[MANIFEST], Some(&body)).await.status;
        assert!(status < 500, "{line}: {status} {:?}", String::from_utf8_lossy(&body));
    }
}
