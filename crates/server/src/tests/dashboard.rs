use attest::predicate::{Predicate, TABLE};
use attest::sample;

use super::bench::{Bench, Scratch, installed};
use super::client::send;

/// Logs the life of the sample service.
async fn live(bench: &Bench) {
    let own = [Predicate::Publication, Predicate::Tag];
    let envelopes = TABLE.iter().map(|row| row.predicate).filter(|predicate| !own.contains(predicate));
    bench
        .home
        .append(envelopes.map(|predicate| bench.cast.sample(predicate)).collect(), super::bench::now())
        .await
        .expect("logged");
}

#[tokio::test]
async fn pages_show_the_chain() {
    let bench = Bench::new().await;
    live(&bench).await;
    let greeter = sample::digest("greeter");
    let home = bench.ask("reader", "GET /").await.is(200).has("content-type", "text/html; charset=utf-8");
    home.says("greeter-image")
        .says(&greeter.short())
        .says("2 passed")
        .says("pass for production")
        .says("full, complete");
    let page = bench.ask("reader", &format!("GET /artifact/{greeter}")).await.is(200);
    let page = page
        .says("<svg class=\"lineage")
        .says("was built by")
        .says(sample::COMMIT)
        .says("both statements stand in log");
    let tag = page.header("etag").expect("a tag").to_owned();
    bench.send("reader", &format!("GET /artifact/{greeter}"), &[("If-None-Match", &tag)], None).await.is(304);
    bench
        .ask("reader", &format!("GET /statement/{}", sample::recipe_payload()))
        .await
        .is(200)
        .says("cargo")
        .says("Raw JSON");
    bench.ask("reader", &format!("GET /node?id=git:{}", sample::COMMIT)).await.is(200).says("Greet by name");
    bench.ask("reader", "GET /environments").await.is(200).says("runs as deployed");
    bench.ask("reader", "GET /environment/production").await.is(200).says("ada@workbench").says("History");
    bench.ask("reader", "GET /log").await.is(200).says("example.org/log").says("observation");
    bench.ask("reader", "GET /search?q=serde").await.is(200).says("pkg:cargo/serde@1.0.229");
    bench
        .ask("reader", &format!("GET /search?q={greeter}"))
        .await
        .is(303)
        .has("location", &format!("/artifact/{greeter}"));
    bench.ask("reader", "GET /search?q=%3Cscript%3E").await.is(200).says("Nothing has that name");
    bench.ask("reader", "GET /artifact/sha256:0").await.is(404);
    bench.ask("reader", "GET /environment/nowhere").await.is(404);
}

#[tokio::test]
async fn who_is_lost_is_told_where_to_go() {
    let bench = Bench::new().await;
    let lost =
        bench.ask("reader", "GET /nothing").await.is(404).says("There is no such page").says("<code>/nothing</code>");
    lost.says("href=\"/\"");
    bench.ask("reader", "GET /artifact/x").await.is(404).says("href=\"/\"");
    bench.ask("reader", "GET /").await.is(200).says("No artifact yet").says("assay build");
    bench.ask("reader", "GET /environments").await.is(200).says("assay deploy");
    bench.ask("", "GET /login").await.is(200).says("assay admin token create NAME --role reader");
}

/// The picture is a group of links with names, so that a keyboard and a screen reader get at them.
#[tokio::test]
async fn the_picture_can_be_used_without_seeing_it() {
    let bench = Bench::new().await;
    live(&bench).await;
    let page = bench.ask("reader", &format!("GET /artifact/{}", sample::digest("greeter"))).await.is(200);
    let page = page.says("role=\"group\"").says("<title id=\"lineage-title\">").text();
    let svg = page.split("<svg").nth(1).and_then(|rest| rest.split("</svg>").next()).expect("a picture");
    let boxes = svg.matches("<rect").count();
    assert!(boxes > 5, "{svg}");
    assert_eq!(svg.matches("<title>").count(), boxes, "each box has a title");
    assert!(page.contains("The same in words"));
}

#[tokio::test]
async fn pages_escape_and_forbid_script() {
    let bench = Bench::new().await;
    let text = "<script>alert(1)</script>";
    let subject = wire::in_toto::ResourceDescriptor::named(text, &wire::digest::Digest::of(b"x"));
    let statement = wire::in_toto::Statement::new(vec![subject], text, serde_json::json!({ text: [text] }));
    bench.home.append(vec![bench.cast.sign(&statement, "tester")], super::bench::now()).await.expect("logged");
    let payload = wire::digest::Digest::of(&statement.to_json());
    for line in
        [format!("GET /statement/{payload}"), "GET /log".to_owned(), "GET /search?q=%3Cscript%3Ealert(1)".to_owned()]
    {
        let answer = bench.ask("reader", &line).await.is(200);
        assert!(!answer.text().contains("<script>"), "{line}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}

#[tokio::test]
async fn a_session_is_a_cookie_that_only_reads() {
    let bench = Bench::new().await;
    bench.ask("", "GET /log?before=4").await.is(303).has("location", "/login?next=/log%3Fbefore%3D4");
    bench.ask("", "GET /login?next=/log").await.is(200).says("name=\"token\"").says("value=\"/log\"");
    bench.send("", "POST /login", &[], Some(b"token=wrong&next=/log")).await.is(403).says("unknown or was revoked");
    bench.send("", "POST /login", &[], Some(b"token=admin&next=//evil.example")).await.is(303).has("location", "/");
    let signed_in =
        bench.send("", "POST /login", &[], Some(b"token=admin&next=/log")).await.is(303).has("location", "/log");
    let cookie = signed_in.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let session = cookie.split(';').next().expect("a value").to_owned();
    let ask = async |line: &str| send(&bench.address, line, &[("Cookie", &session)], Some(b"")).await;
    ask("GET /log").await.is(200).says("signed in as admin");
    ask("GET /api/v1/tokens").await.is(200);
    // Nobody can make a browser write with it.
    ask("POST /api/v1/tokens").await.is(401);
    ask("POST /v2/a/blobs/uploads/").await.is(401);
    send(&bench.address, "GET /log", &[("Cookie", "assay_session=assay1.x")], None).await.is(303);
    bench
        .ask("", "POST /logout")
        .await
        .is(303)
        .has("set-cookie", "assay_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
}

/// Takes pictures of the pages for people to look at, into the directory that `ASSAY_SCREENSHOTS` names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn screenshots() {
    let Some(directory) = std::env::var_os("ASSAY_SCREENSHOTS").map(std::path::PathBuf::from) else { return };
    assert!(installed("chromium"), "chromium is not installed");
    let settings = crate::Settings { anonymous_read: true, ..crate::Settings::default() };
    let cast = std::sync::Arc::new(super::bench::Cast::new());
    let bench = Bench::with(cast, "example.org/log", settings).await;
    live(&bench).await;
    bench.push_image("greeter", "v1.0.0", "image").await;
    let profile = Scratch::new();
    let greeter = sample::digest("greeter");
    for (name, path) in [
        ("home", "/".to_owned()),
        ("artifact", format!("/artifact/{greeter}")),
        ("statement", format!("/statement/{}", sample::run_payload())),
        ("environment", "/environment/production".to_owned()),
        ("environments", "/environments".to_owned()),
        ("log", "/log".to_owned()),
        ("search", "/search?q=s".to_owned()),
        ("login", "/login".to_owned()),
    ] {
        for (width, dark) in [(1280, false), (420, false), (1280, true)] {
            let shade = if dark { "-dark" } else { "" };
            let target = directory.join(format!("{name}-{width}{shade}.png"));
            let mut command = tokio::process::Command::new("chromium");
            command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]);
            command.args(["--disable-background-networking", "--force-device-scale-factor=1"]);
            if dark {
                command.args(["--force-dark-mode", "--blink-settings=preferredColorScheme=0"]);
            }
            command.arg(format!("--user-data-dir={}", profile.0.display()));
            command.arg(format!("--screenshot={}", target.display()));
            command.arg(format!("--window-size={width},{}", if width == 420 { 2400 } else { 1700 }));
            command.arg(format!("http://{}{path}", bench.address));
            let output = command.output().await.expect("chromium runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
