//! Model value → statement → model value, and what is refused on the way back.

use std::collections::BTreeSet;

use model::recipe::{Stage, StageInput, StageMade, StageOutput};
use model::run::StageRun;
use serde_json::{Value, json};
use wire::in_toto::{ResourceDescriptor, Statement};

use super::{Random, all};
use crate::claim::{Claim, ClaimError};
use crate::predicate::run::Run;
use crate::predicate::sbom::Sbom;
use crate::predicate::tag::Change;
use crate::predicate::{LIST_MAX, Part, Predicate, TABLE, TEXT_MAX, is_about};
use crate::sample;

fn claim(statement: &Statement) -> Claim {
    Claim::parse(statement).unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn every_noun_goes_there_and_back() {
    let expected = |predicate| match predicate {
        Predicate::Recipe => Claim::Recipe(sample::recipe()),
        Predicate::Run => Claim::Run(Box::new(Run::of(&sample::record(), &sample::recipe_payload()))),
        Predicate::Rebuilt => Claim::Rebuilt(sample::rebuilt()),
        Predicate::Test => Claim::Test(sample::test()),
        Predicate::Reference => Claim::Reference(sample::reference()),
        Predicate::Verdict => Claim::Verdict(Box::new(sample::verdict())),
        Predicate::Deployment => Claim::Deployment(sample::deployment()),
        Predicate::Observation => Claim::Observation(sample::observation()),
        Predicate::Publication => Claim::Publication(sample::publication()),
        Predicate::Tag => Claim::Tag(sample::tag()),
        Predicate::Grant => Claim::Grant(sample::grant()),
        Predicate::Policy => Claim::Policy(sample::policy()),
        Predicate::Revocation => Claim::Revocation(sample::revocation()),
        Predicate::Sbom => Claim::Sbom(Box::new(Sbom::of(&sample::record(), &sample::run_payload()))),
    };
    for predicate in all() {
        let statement = sample::statement(predicate);
        let again = Statement::parse(&statement.to_json()).expect("our statements are well formed");
        assert_eq!(again, statement);
        assert_eq!(Predicate::of(&statement), Some(predicate));
        assert_eq!(claim(&again), expected(predicate));
        assert_eq!(claim(&again).predicate(), Some(predicate));
    }
}

/// A build of two stages, of which the second takes something of the first.
fn staged() -> model::run::Record {
    let stage = |name: &str, inputs: Vec<StageInput>, outputs: Vec<StageOutput>| Stage {
        name: name.to_owned(),
        inputs,
        made: StageMade { plan: sample::digest(name), outputs },
        steps: vec![format!("{name}-step")],
    };
    let (path, at, tree) = ("out".to_owned(), "/in/out".to_owned(), sample::digest("out"));
    let input = StageInput { stage: "compile".to_owned(), path: path.clone(), at, tree };
    let mut record = sample::record();
    record.recipe.stages =
        vec![stage("compile", Vec::new(), vec![StageOutput { path, tree }]), stage("package", vec![input], Vec::new())];
    record.stages = ["compile", "package"]
        .map(|name| StageRun {
            name: name.to_owned(),
            plan: sample::digest(name),
            level: "full".to_owned(),
            duration_ms: 7,
            processes: 3,
            trace: sample::digest("trace"),
            log: sample::digest("log"),
        })
        .to_vec();
    record
}

#[test]
fn stages_go_there_and_back_and_without_any_nothing_says_so() {
    let record = staged();
    let recipe = crate::recipe(&record.recipe);
    assert_eq!(claim(&recipe), Claim::Recipe(record.recipe.clone()));
    let payload = wire::digest::Digest::of(&recipe.to_json());
    let mut run = crate::run(&record, &payload);
    assert_eq!(claim(&run), Claim::Run(Box::new(Run::of(&record, &payload))));
    let byproducts = run.predicate["runDetails"]["byproducts"].as_array().expect("a list").iter();
    let names: Vec<_> = byproducts.map(|one| one["name"].as_str().expect("a name")).collect();
    let of_stages = ["trace of compile", "log of compile", "trace of package", "log of package"];
    assert_eq!(names, [&["trace", "log"][..], &of_stages].concat());
    run.predicate["assay"]["stages"][0]["level"] = json!("bare");
    assert!(Claim::parse(&run).is_err(), "no such level");

    let plain = [crate::recipe(&sample::recipe()), crate::run(&sample::record(), &payload)];
    assert!(plain.iter().all(|statement| !String::from_utf8_lossy(&statement.to_json()).contains("stages")));
}

#[test]
fn less_common_values_go_there_and_back() {
    let mut record = sample::record();
    record.level = "trace-only".to_owned();
    record.completeness.complete = false;
    record.completeness.reasons = vec!["no user namespaces".to_owned()];
    record.completeness.lost = 3;
    record.undeclared =
        vec![model::run::Undeclared { path: "/etc/x".to_owned(), process: 0, argv0: "cc".to_owned(), count: 2 }];
    record.denied = vec![model::run::Denied {
        what: "socket(AF_INET)".to_owned(),
        process: 0,
        command: "curl https://x.example".to_owned(),
        count: 1,
    }];
    let revision = record.source.revision.as_mut().expect("the sample is under git");
    revision.dirty = vec!["src/main.rs".to_owned()];
    revision.branch = None;
    let statement = crate::run(&record, &sample::recipe_payload());
    assert_eq!(claim(&statement), Claim::Run(Box::new(Run::of(&record, &sample::recipe_payload()))));

    record.source.revision = None;
    let statement = crate::run(&record, &sample::recipe_payload());
    assert_eq!(claim(&statement), Claim::Run(Box::new(Run::of(&record, &sample::recipe_payload()))));

    let mut test = sample::test();
    test.failed = vec!["fails".to_owned()];
    test.unstable = vec!["wobbles".to_owned()];
    assert_eq!(claim(&crate::test(&test)), Claim::Test(test));

    let mut rebuilt = sample::rebuilt();
    rebuilt.equal = false;
    rebuilt.differences = vec![("greeter".to_owned(), vec![sample::digest("greeter"), sample::digest("other")])];
    let statement = crate::rebuilt(&rebuilt, &sample::recipe().outputs);
    assert!(is_about(&statement, &[sample::digest("other")]), "found from the other side too");
    assert_eq!(claim(&statement), Claim::Rebuilt(rebuilt));

    let mut observation = sample::observation();
    observation.observed = None;
    observation.process = None;
    assert_eq!(claim(&crate::observation(&observation)), Claim::Observation(observation));

    for change in [Change::Made { to: sample::digest("a") }, Change::Deleted { from: sample::digest("a") }] {
        let tag = crate::predicate::tag::Tag { change, ..sample::tag() };
        assert_eq!(claim(&crate::tag(&tag)), Claim::Tag(tag));
    }
}

#[test]
fn the_table_has_each_type_and_name_once() {
    let names: BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
    let uris: BTreeSet<&str> = TABLE.iter().map(|row| row.uri).collect();
    assert_eq!((names.len(), uris.len()), (TABLE.len(), TABLE.len()));
    for row in TABLE {
        assert_eq!(Predicate::of_name(row.name), Some(row.predicate));
        assert_eq!((row.predicate.uri(), row.predicate.role()), (row.uri, row.role));
    }
    assert_eq!(Predicate::Run.uri(), wire::slsa_provenance::PREDICATE_TYPE);
    assert_eq!(Predicate::Test.uri(), wire::test_result::PREDICATE_TYPE);
    assert_eq!(Predicate::Verdict.uri(), wire::vsa::PREDICATE_TYPE);
}

// M3.1: the recipe is what two honest builders share.
#[test]
fn recipe_holds_nothing_of_one_run() {
    let one = sample::record();
    let mut other = sample::record();
    other.id = "0".repeat(32);
    other.started = sample::time(1_000);
    other.finished = sample::time(2_000);
    other.invoker = "bob@elsewhere".to_owned();
    other.machine.cpu = "Another CPU".to_owned();
    other.recipe.inputs.reverse();
    assert_eq!(crate::recipe(&one.recipe).to_json(), crate::recipe(&other.recipe).to_json());
    let run = |record| crate::run(record, &sample::recipe_payload()).to_json();
    assert_ne!(run(&one), run(&other));
    let text = String::from_utf8(crate::recipe(&one.recipe).to_json()).expect("text");
    for private in ["ada@", "workbench", "Example CPU", "6.18", "2026", "refs/heads", "https://git"] {
        assert!(!text.contains(private), "a recipe must not say {private}");
    }
}

#[test]
fn a_dirty_tree_is_not_called_by_its_commit() {
    let source = |statement: &Statement| statement.predicate["buildDefinition"]["resolvedDependencies"][0].clone();
    let mut record = sample::record();
    let clean = source(&crate::run(&record, &sample::recipe_payload()));
    assert_eq!(clean["digest"]["gitCommit"], sample::COMMIT);
    record.source.revision.as_mut().expect("under git").dirty.push("src/main.rs".to_owned());
    let dirty = source(&crate::run(&record, &sample::recipe_payload()));
    assert_eq!(dirty["digest"].get("gitCommit"), None);
    assert_eq!(dirty["digest"]["sha256"], sample::source().tree.hex());
}

// M3.1: what a developer's machine made is SLSA build level 1 at most.
#[test]
fn no_statement_claims_more_than_level_1() {
    for predicate in all() {
        let text = String::from_utf8(sample::statement(predicate).to_json()).expect("text");
        for level in ["LEVEL_2", "LEVEL_3", "REPRODUCED"] {
            assert!(!text.contains(level), "{} says {level}", predicate.name());
        }
    }
    let mut statement = sample::statement(Predicate::Verdict);
    statement.predicate["verifiedLevels"] = json!(["SLSA_BUILD_LEVEL_3"]);
    let error = Claim::parse(&statement).expect_err("a level that was not earned");
    assert!(error.to_string().contains("verifiedLevels"), "{error}");
}

#[test]
fn other_versions_are_refused_by_name() {
    for predicate in all() {
        let mut statement = sample::statement(predicate);
        if predicate == Predicate::Sbom {
            // CycloneDX's `version` counts corrections of a document.
            statement.predicate["metadata"]["properties"][0]["value"] = json!("2");
            let error = Claim::parse(&statement).expect_err("version 2 is not known").to_string();
            assert_eq!(error, "sbom statement has version 2; this assay reads version 1");
            continue;
        }
        let holder = match predicate {
            Predicate::Run | Predicate::Test | Predicate::Verdict => &mut statement.predicate["assay"],
            _ => &mut statement.predicate,
        };
        holder["version"] = json!(2);
        let error = Claim::parse(&statement).expect_err("version 2 is not known").to_string();
        let name = predicate.name();
        assert_eq!(error, format!("{name} statement has version 2; this assay reads version 1"));
    }
}

#[test]
fn what_others_state_is_no_claim_of_ours() {
    let mut provenance = sample::statement(Predicate::Run);
    provenance.predicate["buildDefinition"]["buildType"] = json!("https://example.org/build/v1");
    assert_eq!(claim(&provenance), Claim::Other);
    for predicate in [Predicate::Test, Predicate::Verdict] {
        let mut statement = sample::statement(predicate);
        statement.predicate.as_object_mut().expect("an object").remove("assay");
        assert_eq!(claim(&statement), Claim::Other);
    }
    let mut sbom = sample::statement(Predicate::Sbom);
    sbom.predicate["metadata"]["properties"] = json!([]);
    assert_eq!(claim(&sbom), Claim::Other);
    let sbom = Statement::new(provenance.subject, "https://spdx.dev/Document/v2.3", Value::Null);
    assert_eq!(claim(&sbom), Claim::Other);
}

#[test]
fn subjects_must_be_what_the_predicate_names() {
    let unbound = [Predicate::Run, Predicate::Rebuilt, Predicate::Test, Predicate::Verdict, Predicate::Sbom];
    for predicate in all().filter(|predicate| !unbound.contains(predicate)) {
        let mut statement = sample::statement(predicate);
        statement.subject[0] = ResourceDescriptor::named("greeter", &sample::digest("another"));
        let error = Claim::parse(&statement).expect_err("another subject");
        assert!(matches!(error, ClaimError::Subjects { .. }), "{error}");
        let mut statement = sample::statement(predicate);
        statement.subject.push(ResourceDescriptor::named("greeter", &sample::digest("another")));
        assert!(matches!(Claim::parse(&statement), Err(ClaimError::Subjects { .. })), "{}", predicate.name());
    }
}

/// Every field of every sample, taken away and replaced by something of another type: refused with the predicate's name,
/// but for those listed here, which may be absent or are nobody's to read.
#[test]
fn every_field_is_read() {
    let mut accepted = Vec::new();
    for predicate in all() {
        let statement = sample::statement(predicate);
        for path in paths(&statement.predicate) {
            for (how, change) in [("less", None), ("other", Some(json!({ "unexpected": [true] })))] {
                let mut changed = statement.clone();
                replace(&mut changed.predicate, &path, change);
                match Claim::parse(&changed) {
                    Ok(Claim::Other) => {}
                    Ok(_) => accepted.push(format!("{} {how} {path}", predicate.name())),
                    Err(error) => assert!(error.to_string().starts_with(predicate.name()), "{error}"),
                }
            }
        }
    }
    expect_test::expect_file!["accepted.txt"].assert_eq(&(accepted.join("\n") + "\n"));
}

#[test]
fn errors_name_predicate_and_field() {
    let check = |predicate, path: &str, value: Value, expected: &str| {
        let mut statement = sample::statement(predicate);
        replace(&mut statement.predicate, path, Some(value));
        let error = Claim::parse(&statement).expect_err("refused");
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        assert_eq!(format!("{error}{source}"), expected);
    };
    check(
        Predicate::Recipe,
        "/inputs/3/digest",
        json!("sha256:short"),
        "recipe statement, field `inputs[3].digest`: `short` is not a digest value: expected lower-case hexadecimal of \
         the algorithm's length",
    );
    check(
        Predicate::Run,
        "/buildDefinition/internalParameters/settings/cpus",
        json!("two"),
        "run statement, field `buildDefinition.internalParameters.settings.cpus`: invalid type: string \"two\", \
         expected u32",
    );
    check(
        Predicate::Run,
        "/assay/completeness/lost",
        json!(-1),
        "run statement, field `assay.completeness.lost`: invalid value: integer `-1`, expected u64",
    );
    check(
        Predicate::Deployment,
        "/action",
        json!("launch"),
        "deployment statement, field `action`: `launch` is not `deploy` or `rollback`",
    );
    check(
        Predicate::Grant,
        "/role",
        json!("root"),
        "grant statement, field `role`: `root` is not `reader`, `publisher`, `deployer` or `admin`",
    );
    check(
        Predicate::Run,
        "/runDetails/builder/id",
        json!("https://assay.dev/builder/local/no-proc"),
        "run statement, field `runDetails.builder.id`: `https://assay.dev/builder/local/no-proc` is not the builder of \
         the level that the run names",
    );
}

#[test]
fn contradictions_are_refused() {
    let check = |predicate, path: &str, value: Value, field: &str| {
        let mut statement = sample::statement(predicate);
        replace(&mut statement.predicate, path, Some(value));
        let error = Claim::parse(&statement).expect_err("it contradicts itself").to_string();
        assert!(error.contains(&format!("`{field}`")), "{error}");
    };
    check(Predicate::Verdict, "/verificationResult", json!("FAILED"), "verificationResult");
    check(Predicate::Verdict, "/assay/result", json!("fail"), "assay.result");
    check(Predicate::Verdict, "/assay/rules/0/result", json!("unknown"), "assay.result");
    check(Predicate::Verdict, "/inputAttestations", json!([]), "inputAttestations");
    check(Predicate::Test, "/result", json!("FAILED"), "result");
    check(Predicate::Test, "/assay/unstable", json!(["elsewhere"]), "assay.unstable");
    check(Predicate::Test, "/passedTests", json!([]), "result");
    check(Predicate::Run, "/assay/completeness/lost", json!(1), "assay.completeness.complete");
    check(Predicate::Run, "/assay/completeness/reasons", json!(["why"]), "assay.completeness.complete");
    check(Predicate::Rebuilt, "/differences", json!([{ "name": "greeter", "digests": [] }]), "equal");
}

#[test]
fn sizes_have_limits() {
    let mut statement = sample::statement(Predicate::Recipe);
    statement.predicate["steps"][0]["argv"] = json!(vec![""; LIST_MAX + 1]);
    let error = Claim::parse(&statement).expect_err("too long a list").to_string();
    assert_eq!(error, "recipe statement, field `steps.0.argv`: 100001 is more than the limit of 100000");
    let mut statement = sample::statement(Predicate::Policy);
    statement.predicate["source"] = json!("#".repeat(TEXT_MAX + 1));
    let error = Claim::parse(&statement).expect_err("too long a text").to_string();
    assert_eq!(error, "policy statement, field `source`: 1048577 is more than the limit of 1048576");
}

#[test]
fn damaged_payloads_never_panic() {
    let mut random = Random(0x5eed);
    for predicate in all() {
        let good = sample::statement(predicate).to_json();
        for _ in 0..400 {
            let mut bytes = good.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                match random.below(3) {
                    0 => bytes[at] ^= 1 << random.below(7),
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b"{}[]\",:019-e"[random.below(12)]),
                }
            }
            if let Ok(statement) = Statement::parse(&bytes) {
                drop(Claim::parse(&statement));
            }
        }
    }
}

#[test]
fn a_shared_layer_makes_no_subject() {
    let statement = sample::statement(Predicate::Recipe);
    for (digest, expected) in [
        ("image manifest", true),
        ("image config", true),
        ("greeter", true),
        ("image layer", false),
        ("something else", false),
    ] {
        assert_eq!(is_about(&statement, &[sample::digest(digest)]), expected, "{digest}");
    }
    assert_eq!(Part::of("a#layer0"), Part::Layer("a"));
    assert_eq!(Part::of("a#config"), Part::Config("a"));
    assert_eq!(Part::of("a").whole(), "a");
}

/// Returns the JSON pointers of all fields and entries below a value.
fn paths(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut walk = |step: String, child: &Value| {
        found.push(step.clone());
        found.extend(paths(child).into_iter().map(|path| format!("{step}{path}")));
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, child)| walk(format!("/{name}"), child)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, child)| walk(format!("/{index}"), child)),
        _ => {}
    }
    found
}

/// Puts another value at a JSON pointer, or takes away what is there.
fn replace(value: &mut Value, path: &str, with: Option<Value>) {
    let (parent, name) = path.rsplit_once('/').expect("a pointer has a slash");
    let parent = value.pointer_mut(parent).expect("the parent is there");
    match (parent, with) {
        (Value::Object(map), None) => drop(map.remove(name)),
        (Value::Array(list), None) => drop(list.remove(name.parse().expect("an index"))),
        (Value::Object(map), Some(with)) => drop(map.insert(name.to_owned(), with)),
        (Value::Array(list), Some(with)) => list[name.parse::<usize>().expect("an index")] = with,
        _ => panic!("no place at {path}"),
    }
}

#[test]
fn a_recipe_says_what_was_normalised_and_one_without_says_nothing() {
    let mut recipe = sample::recipe();
    let text = |recipe: &model::recipe::Recipe| String::from_utf8(crate::recipe(recipe).to_json()).expect("text");
    assert!(!text(&recipe).contains("normalise"), "as before there was such a thing");
    let normalise = |kind: Option<&str>| model::recipe::Normalise {
        path: "dist/a.whl".to_owned(),
        kind: kind.map(str::to_owned),
        check: false,
        recompress: true,
        format: 1,
    };
    recipe.normalise = vec![normalise(None), normalise(Some("wheel"))];
    assert!(
        text(&recipe).contains(r#""normalise":[{"check":false,"format":1,"path":"dist/a.whl","recompress":true},"#)
    );
    let statement = crate::recipe(&recipe);
    assert_eq!(crate::predicate::recipe::parse(&statement).expect("it is read back"), {
        recipe.inputs.sort();
        recipe
    });
}
