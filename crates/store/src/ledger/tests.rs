use attest::predicate;
use attest::predicate::grant::Action;
use attest::sample;
use model::lineage::{Direction, NodeId};
use sign::trust::Role;
use wire::oci_image::{Descriptor, EMPTY, MEDIA_TYPE_EMPTY, MEDIA_TYPE_LAYER, Manifest};
use wire::sigstore_bundle::MEDIA_TYPE as BUNDLE_TYPE;

use super::*;
use crate::home::Home;
use crate::sample::{Sample, now};

fn first<T>() -> Page<T> {
    Page::first(PAGE_MAX)
}

/// A home in which the sample service has gone all its way.
async fn lived() -> (Sample, Home) {
    let sample = Sample::new("ledger");
    let home = sample.home().await;
    home.append(sample.life(), now()).await.expect("logged");
    (sample, home)
}

#[tokio::test]
async fn statements_are_found_by_what_they_are_about() {
    let (sample, home) = lived().await;
    let ledger = home.ledger();
    let artifact = sample::recipe().outputs[0].digest;
    let about = ledger.statements_about(&artifact, None, &first()).await.expect("asked");
    let runs = ledger.statements_about(&artifact, Some(predicate::RUN), &first()).await.expect("asked");
    assert_eq!(runs.len(), 1);
    assert!(about.contains(&runs[0]) && about.len() > 3, "{about:#?}");
    assert_eq!(runs[0].signer.as_deref(), Some("builder"));
    assert_eq!(runs[0].key_id, Some(sample.keys["builder"].public().id()));
    assert_eq!(runs[0].stated, sample::record().finished);
    assert_eq!(runs[0].logged, now());
    let page = Page { after: Some(about[0].index), limit: 1 };
    assert_eq!(ledger.statements_about(&artifact, None, &page).await.expect("asked"), about[1..2]);
    assert_eq!(ledger.statements_by_payload(&runs[0].payload).await.expect("asked"), runs);
    assert_eq!(ledger.statement_by_envelope(&runs[0].envelope).await.expect("asked").as_ref(), Some(&runs[0]));
    assert_eq!(ledger.statement_by_index(runs[0].index).await.expect("asked").as_ref(), Some(&runs[0]));
    let newest = ledger.newest_statements(None, &Page::first(3)).await.expect("asked");
    assert_eq!(newest.iter().map(|row| row.index).collect::<Vec<_>>(), [26, 24, 22]);
    let tags = ledger.newest_statements(Some(predicate::TAG), &first()).await.expect("asked");
    assert_eq!(tags.len(), 1);
    assert!(ledger.statements_about(&sample::digest("unknown"), None, &first()).await.expect("asked").is_empty());
}

#[tokio::test]
async fn several_payloads_and_edges_come_in_pages() {
    let (_sample, home) = lived().await;
    let ledger = home.ledger();
    let payloads = [sample::run_payload(), sample::recipe_payload(), sample::digest("unknown")];
    let all = ledger.statements_by_payloads(&payloads, &first()).await.expect("asked");
    assert_eq!(all.iter().map(|row| row.payload).collect::<Vec<_>>(), [payloads[1], payloads[0]], "by log index");
    let after = Page { after: Some(all[0].index), limit: 5 };
    assert_eq!(ledger.statements_by_payloads(&payloads, &after).await.expect("asked"), all[1..]);
    assert_eq!(ledger.statements_by_payloads(&payloads, &Page::first(1)).await.expect("asked"), all[..1]);
    assert_eq!(ledger.statements_by_payloads(&[], &first()).await.expect("asked"), []);

    let nodes = [
        NodeId::environment("nowhere"),
        NodeId::digest(&sample::recipe_payload()),
        NodeId::digest(&sample::recipe().outputs[0].digest),
    ];
    for direction in [Direction::Back, Direction::Forward] {
        let expected = ledger.edges(&nodes, direction).await.expect("asked");
        assert!(expected.len() > 3, "{expected:#?}");
        for limit in [1, 2, PAGE_MAX] {
            let (mut found, mut page) = (Vec::new(), Page::first(limit));
            loop {
                let (edges, next) = ledger.edges_of(&nodes, direction, &page).await.expect("asked");
                assert!(edges.len() <= limit);
                found.extend(edges);
                page.after = next;
                if next.is_none() {
                    break;
                }
            }
            found.sort_unstable();
            assert_eq!(found, expected, "{direction:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn the_walk_leads_from_what_runs_to_the_commit_and_back() {
    let (_sample, home) = lived().await;
    let ledger = home.ledger();
    let environment = NodeId::environment(&sample::deployment().environment);
    let commit = NodeId::commit(sample::COMMIT);
    let back = ledger.walk(vec![environment.clone()], Direction::Back).await.expect("walked");
    assert!(back.ids().contains(&commit), "{:#?}", back.ids());
    let forward = ledger.walk(vec![commit.clone()], Direction::Forward).await.expect("walked");
    assert!(forward.ids().contains(&environment), "{:#?}", forward.ids());
    let nodes = ledger.nodes(back.ids()).await.expect("asked");
    assert_eq!(nodes.len(), back.ids().len(), "every node that is reached has a label");
    assert_eq!(nodes[0].id, environment);
    for text in ["4c1f0a9b", "greet", "sha256:", environment.as_str()] {
        assert!(!ledger.search(text, 10).await.expect("asked").is_empty(), "{text}");
    }
    let found = ledger.search(&sample::COMMIT[..7], 10).await.expect("asked");
    assert_eq!(found.iter().map(|node| &node.id).collect::<Vec<_>>(), [&commit]);
    assert!(ledger.search("%", 10).await.expect("asked").is_empty());
    assert!(ledger.search("", 10).await.expect("asked").is_empty());
}

#[tokio::test]
async fn artifacts_runs_verdicts_and_policies_are_rows() {
    let (_sample, home) = lived().await;
    let ledger = home.ledger();
    let recipe = sample::recipe();
    let artifacts = ledger.newest_artifacts(&first()).await.expect("asked");
    assert_eq!(artifacts.len(), recipe.outputs.len());
    let artifact = ledger.artifact(&recipe.outputs[0].digest).await.expect("asked").expect("known");
    assert_eq!((artifact.project.as_str(), artifact.commit.as_deref()), ("greeter", Some(sample::COMMIT)));
    assert_eq!(artifact.recipe, sample::recipe_payload());
    for found in [
        ledger.artifacts_by_name(&artifact.name, &first()).await,
        ledger.artifacts_by_project("greeter", &first()).await,
        ledger.artifacts_by_commit(sample::COMMIT, &first()).await,
    ] {
        assert!(found.expect("asked").contains(&artifact));
    }
    let runs = ledger.runs(&sample::recipe_payload(), &first()).await.expect("asked");
    assert_eq!(runs.iter().map(|run| run.payload).collect::<Vec<_>>(), [sample::run_payload()]);
    let verdict = sample::verdict();
    let rows = ledger.verdicts(&verdict.subject.digests[0], verdict.environment.as_deref(), 10).await.expect("asked");
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].result.as_str(), rows[0].policy), (verdict.result.name(), verdict.policy.digest));
    assert!(ledger.verdicts(&verdict.subject.digests[0], Some("nowhere"), 10).await.expect("asked").is_empty());
    let policy = ledger.newest_policy(&sample::policy().name).await.expect("asked").expect("known");
    assert_eq!(policy.digest, sample::policy().digest());
}

#[tokio::test]
async fn the_newest_live_deployment_ends_the_one_before() {
    let (sample, home) = lived().await;
    let ledger = home.ledger();
    let old = sample::deployment();
    let mut new = old.clone();
    new.artifact.1 = sample::digest("the next one");
    new.finished = old.finished.plus_s(60);
    let mut failed = new.clone();
    (failed.live, failed.finished) = (false, old.finished.plus_s(90));
    let envelopes = [&new, &failed].map(|deployment| sample.sign(&attest::deployment(deployment), Role::Deployer));
    home.append(envelopes.to_vec(), now()).await.expect("logged");
    let (environment, service) = (old.environment.as_str(), old.service.as_str());
    let live = ledger.newest_live(environment, service).await.expect("asked").expect("live");
    assert_eq!((live.digest, live.to), (new.artifact.1, None));
    let all = ledger.deployments(environment, service, &first()).await.expect("asked");
    assert_eq!(all.iter().map(|row| row.live).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(all[2].to, Some(new.finished));
    let of = ledger.deployments_of(&old.artifact.1, &first()).await.expect("asked");
    assert_eq!(of, all[2..]);
    assert_eq!(ledger.services().await.expect("asked"), [(old.environment.clone(), old.service.clone())]);
    let seen = ledger.newest_observation(environment, service).await.expect("asked").expect("seen");
    assert_eq!(seen.observed, sample::observation().observed);
}

#[tokio::test]
async fn grants_last_until_they_are_revoked() {
    let (sample, home) = lived().await;
    let ledger = home.ledger();
    let grant = sample::grant();
    let rows = ledger.grants_of(&grant.token).await.expect("asked");
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0].role, &rows[0].repositories), (&grant.role, &grant.repositories));
    assert_eq!(ledger.grants(Some(&grant.name)).await.expect("asked"), rows);
    let mut revoked = grant.clone();
    revoked.action = Action::Revoke;
    // A publisher may not.
    let envelope = sample.sign(&attest::grant(&revoked), Role::Publisher);
    home.append(vec![envelope], now()).await.expect("logged");
    assert_eq!(ledger.grants_of(&grant.token).await.expect("asked"), rows);
    let envelope = sample.sign(&attest::grant(&revoked), Role::Admin);
    home.append(vec![envelope], now()).await.expect("logged");
    assert!(ledger.grants_of(&grant.token).await.expect("asked").is_empty());
    assert!(ledger.grants(None).await.expect("asked").is_empty());
}

/// Stores a manifest about `subject` and returns its digest with the statement that publishes it.
fn publish(sample: &Sample, home: &Home, manifest: &Manifest) -> (Digest, wire::dsse::Envelope) {
    let digest = home.blobs().put_bytes(&manifest.to_json()).expect("stored");
    let mut publication = sample::publication();
    publication.manifest = digest;
    (digest, sample.sign(&attest::publication(&publication), Role::Publisher))
}

#[tokio::test]
async fn published_manifests_their_referrers_and_tags_are_rows() {
    let (sample, home) = lived().await;
    let ledger = home.ledger();
    let repository = sample::publication().repository;
    // The sample's own publication names a manifest whose bytes are nowhere.
    assert!(ledger.repositories(&first()).await.expect("asked").is_empty());
    let layer = Descriptor::new(MEDIA_TYPE_LAYER, sample::digest("layer"), 5);
    let image = Manifest::new(Descriptor::empty(), vec![layer.clone()]);
    let (image_digest, envelope) = publish(&sample, &home, &image);
    let mut envelopes = vec![envelope];
    let mut referrers = Vec::new();
    for n in 0..5 {
        let mut referrer = Manifest::new(Descriptor::empty(), vec![Descriptor::empty()]);
        referrer.artifact_type = Some(format!("application/x-{}", n % 2));
        referrer.annotations = Some([("n".to_owned(), n.to_string())].into());
        referrer.subject = Some(Descriptor::new(MEDIA_TYPE_EMPTY, image_digest, 2));
        let (digest, envelope) = publish(&sample, &home, &referrer);
        envelopes.push(envelope);
        referrers.push(digest);
    }
    home.append(envelopes, now()).await.expect("logged");
    referrers.sort_unstable();

    assert_eq!(ledger.repositories(&first()).await.expect("asked"), [repository.as_str()]);
    let row = ledger.manifest(&repository, &image_digest).await.expect("asked").expect("published");
    assert_eq!(row.size, image.to_json().len() as u64);
    assert_eq!(row.artifact_type.as_deref(), Some(MEDIA_TYPE_EMPTY));
    for blob in [layer.digest, Digest::of(EMPTY), image_digest] {
        assert!(ledger.repository_has(&repository, &blob).await.expect("asked"), "{blob}");
        assert_eq!(ledger.repositories_with(&blob).await.expect("asked"), [repository.as_str()]);
    }
    assert!(!ledger.repository_has("other", &image_digest).await.expect("asked"));
    let page = |after, limit| Page { after, limit };
    let all = ledger.referrers(&repository, &image_digest, None, &page(None, 100)).await.expect("asked");
    assert_eq!(all.iter().map(|row| row.digest).collect::<Vec<_>>(), referrers);
    let rest = ledger.referrers(&repository, &image_digest, None, &page(Some(referrers[1]), 2)).await.expect("asked");
    assert_eq!(rest, all[2..4]);
    let kind = Some("application/x-1");
    let some = ledger.referrers(&repository, &image_digest, kind, &page(None, 100)).await.expect("asked");
    assert_eq!(some.len(), 2);
    assert!(some.iter().all(|row| row.artifact_type.as_deref() == kind));
}

#[tokio::test]
async fn tags_move_and_remember() {
    use attest::predicate::tag::Change;
    let (sample, home) = lived().await;
    let ledger = home.ledger();
    let made = sample::tag();
    let to = made.change.to().expect("the sample sets it");
    let (repository, name) = (made.repository.as_str(), made.tag.as_str());
    assert_eq!(ledger.tag(repository, name).await.expect("asked").map(|row| row.digest), Some(to));
    let mut moved = made.clone();
    moved.change = Change::Moved { from: to, to: sample::digest("next") };
    home.append(vec![sample.sign(&attest::tag(&moved), Role::Publisher)], now()).await.expect("logged");
    let tags = ledger.tags(repository, &first()).await.expect("asked");
    assert_eq!(tags.iter().map(|row| row.digest).collect::<Vec<_>>(), [sample::digest("next")]);
    assert_eq!(ledger.tags_of(repository, &sample::digest("next")).await.expect("asked"), tags);
    // Nobody but a publisher moves tags.
    let mut deleted = made.clone();
    deleted.change = Change::Deleted { from: sample::digest("next") };
    home.append(vec![sample.sign(&attest::tag(&deleted), Role::Builder)], now()).await.expect("logged");
    assert!(ledger.tag(repository, name).await.expect("asked").is_some());
    home.append(vec![sample.sign(&attest::tag(&deleted), Role::Publisher)], now()).await.expect("logged");
    assert!(ledger.tag(repository, name).await.expect("asked").is_none());
    let history = ledger.tag_history(repository, name, &first()).await.expect("asked");
    assert_eq!(history.len(), 3);
    assert_eq!((history[0].from, history[0].to), (Some(sample::digest("next")), None));
}

/// A bundle that was pushed to another home is a statement there, if its signer and its log are trusted.
#[tokio::test]
async fn a_pushed_bundle_brings_its_statement() {
    let (maker, made) = lived().await;
    for (trusted, expected) in [(false, 0), (true, 1)] {
        let sample = if trusted { Sample::with_trust("elsewhere", &maker.trust) } else { Sample::new("elsewhere") };
        let home = sample.home().await;
        let row = &made.ledger().newest_statements(Some(predicate::RECIPE), &first()).await.expect("asked")[0];
        let bundle = made.bundle(row).await.expect("made").to_json();
        let layer = Descriptor::new(BUNDLE_TYPE, home.blobs().put_bytes(&bundle).expect("stored"), bundle.len() as u64);
        let manifest = Manifest::new(Descriptor::empty(), vec![layer.clone()]);
        let (_, publication) = publish(&sample, &home, &manifest);
        // Pushed to a second repository, it is still one statement.
        let mut again = sample::publication();
        (again.repository, again.manifest) = ("second".to_owned(), Digest::of(&manifest.to_json()));
        let again = sample.sign(&attest::publication(&again), Role::Publisher);
        home.append(vec![publication, again], now()).await.expect("logged");
        let ledger = home.ledger();
        let artifact = sample::recipe().outputs[0].digest;
        let found = ledger.statements_about(&artifact, Some(predicate::RECIPE), &first()).await.expect("asked");
        assert_eq!(found.len(), expected);
        assert_eq!(ledger.artifact(&artifact).await.expect("asked").is_some(), trusted);
        if let [brought] = &found[..] {
            let other = brought.elsewhere.as_ref().expect("logged elsewhere");
            assert_eq!((other.origin.as_str(), other.index), (maker.origin.as_str(), row.index));
            assert_eq!(home.bundle(brought).await.expect("as it came").to_json(), bundle);
        }
    }
}

/// M11.1, M12: every derived table is made again from log and blobs, and every answer is the same.
#[tokio::test]
async fn reindex_makes_the_same_rows() {
    let (sample, home) = lived().await;
    home.append((0..200).map(|n| sample.unique(n)).collect(), now()).await.expect("logged");
    let (_, publication) = publish(&sample, &home, &Manifest::new(Descriptor::empty(), Vec::new()));
    home.append(vec![publication], now()).await.expect("logged");
    home.log_proposals(&[sample.proposal(b"artifact")], now()).await.expect("logged");
    home.caught_up().await.expect("read");
    let before = home.ledger().dump().await.expect("dumped");
    let filled: Vec<_> = before.iter().filter(|table| !table.rows.is_empty()).map(|table| table.table).collect();
    let all: Vec<_> = schema::TABLES.iter().map(|table| table.name).collect();
    assert_eq!(filled, all, "every table has a row to compare");
    assert_eq!(home.reindex().await.expect("made again"), (home.log().size(), Vec::new()));
    assert_eq!(home.ledger().dump().await.expect("dumped"), before);
    // It goes on from there, and a lost file is made again.
    home.append(vec![sample.unique(5000)], now()).await.expect("logged");
    let before = home.ledger().dump().await.expect("dumped");
    home.close().await.expect("closed");
    std::fs::remove_file(sample.data().join("ledger.sqlite")).expect("removed");
    let home = Home::open_reindexed(&sample.data(), &sample.options()).await.expect("opened");
    assert_eq!(home.ledger().dump().await.expect("dumped"), before);
}

#[tokio::test]
async fn with_another_trust_root_all_is_made_again() {
    let (sample, home) = lived().await;
    let about = sample::recipe().outputs[0].digest;
    let artifact = home.ledger().artifact(&about).await.expect("asked");
    assert!(artifact.is_some());
    home.close().await.expect("closed");
    let mut trust = (*sample.trust).clone();
    trust.identities.retain(|identity| identity.name != "builder");
    let mut options = sample.options();
    options.trust = Arc::new(trust);
    let home = Home::open(&sample.data(), &options).await.expect("opened");
    assert_eq!(home.ledger().artifact(&about).await.expect("asked"), None);
    let rows = home.ledger().newest_statements(Some(predicate::RECIPE), &first()).await.expect("asked");
    assert_eq!(rows.len(), 1, "it is kept");
    assert_eq!(rows[0].signer, None, "but nobody trusted has signed it");
    home.close().await.expect("closed");
    let home = sample.open().await;
    assert_eq!(home.ledger().artifact(&about).await.expect("asked"), artifact);
}

#[tokio::test]
async fn a_ledger_of_a_later_program_is_refused() {
    let (sample, home) = lived().await;
    home.close().await.expect("closed");
    let options = SqliteConnectOptions::new().filename(sample.data().join("ledger.sqlite"));
    let mut connection = SqliteConnection::connect_with(&options).await.expect("opened");
    sqlx::query("INSERT INTO schema_version (version) VALUES (99)").execute(&mut connection).await.expect("written");
    connection.close().await.expect("closed");
    std::fs::remove_file(sample.data().join("seal.json")).expect("the later program has sealed anew");
    let error = Home::open(&sample.data(), &sample.options()).await.err().expect("refused");
    assert!(format!("{error:?}").contains("Newer { found: 99"), "{error:?}");
}

#[tokio::test]
async fn every_table_is_declared() {
    let (_sample, home) = lived().await;
    let query = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'schema_version'");
    let rows = query.fetch_all(&home.ledger().reading().await.read).await.expect("asked");
    let mut found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    found.sort_unstable();
    let mut declared: Vec<String> = schema::TABLES.iter().map(|table| table.name.to_owned()).collect();
    declared.sort_unstable();
    assert_eq!(found, declared);
}

/// Every question is answered through an index: no table is read from end to end.
#[tokio::test]
async fn no_question_scans() {
    let (_sample, home) = lived().await;
    let queries = [
        "SELECT log_index FROM subjects WHERE log = 1 AND digest = 'x' AND log_index > 0",
        "SELECT 1 FROM statements WHERE log = 1 AND payload = 'x' ORDER BY log_index",
        "SELECT 1 FROM statements WHERE log = 1 AND predicate = 1 AND log_index < 9 ORDER BY log_index DESC",
        "SELECT 1 FROM nodes WHERE log = 1 AND label >= 'a' AND label < 'b' ORDER BY label, name",
        "SELECT 1 FROM edges WHERE log = 1 AND parent = 1",
        "SELECT 1 FROM artifacts WHERE log = 1 AND last_index < 9 ORDER BY last_index DESC, name",
        "SELECT 1 FROM deployments WHERE log = 1 AND environment = 'e' AND service = 's' AND live = 1 \
         ORDER BY log_index DESC LIMIT 1",
        "SELECT 1 FROM deployments WHERE log = 1 AND (environment, service) > ('e', 's') \
         ORDER BY environment, service LIMIT 1",
        "SELECT 1 FROM manifests WHERE log = 1 AND repository = 'r' AND subject = 's' AND artifact_type = 't' \
         AND digest > 'd' ORDER BY digest",
        "SELECT 1 FROM manifests WHERE log = 1 AND repository > 'r' ORDER BY repository LIMIT 1",
        "SELECT 1 FROM grants WHERE log = 1 AND token = 't' ORDER BY role",
        "SELECT 1 FROM tags WHERE log = 1 AND repository = 'r' AND tag > 't' ORDER BY tag",
        "SELECT 1 FROM leaves WHERE log = 1 AND leaf = 'x'",
    ];
    for sql in queries {
        let query = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
        let rows = query.fetch_all(&home.ledger().reading().await.read).await.expect("explained");
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let bad = |step: &String| step.starts_with("SCAN") || step == "USE TEMP B-TREE FOR ORDER BY";
        assert!(!plan.iter().any(bad), "{sql}\n{plan:#?}");
    }
}
