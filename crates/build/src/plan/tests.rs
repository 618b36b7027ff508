use expect_test::expect;

use model::source::Revision;

use super::*;
use crate::lock::tests::sample;

fn spec() -> Spec {
    Spec::parse("assay.toml", crate::spec::tests::GREETER.as_bytes()).expect("it is good")
}

/// The same commit, cloned by two people to two places.
fn source(repository: &str, author: &str) -> Source {
    let revision = Revision {
        commit: "73e321f84cd2493e93e093d455f52c39f9acbff7".to_owned(),
        commit_time_unix_s: 1_795_376_460,
        author: author.to_owned(),
        committer: author.to_owned(),
        summary: "greet".to_owned(),
        branch: Some("main".to_owned()),
        repository: repository.to_owned(),
        dirty: Vec::new(),
        origin: "local-git".to_owned(),
    };
    Source { tree: Digest::of(b"source"), revision: Some(revision) }
}

#[test]
fn the_plan_of_a_build() {
    let planned = build(&spec(), &sample(), &source("https://git.example.org/greeter", "Ada"));
    expect![[r#"
        {
          "version": 2,
          "hostname": "build",
          "cpus": 2,
          "loopback": false,
          "epoch_unix_s": 1795376460,
          "mounts": [
            {
              "tree": {
                "target": "/",
                "source": "base"
              }
            },
            {
              "tree": {
                "target": "/toolchain/rust",
                "source": "rust"
              }
            },
            {
              "tree": {
                "target": "/vendor",
                "source": "vendor"
              }
            },
            {
              "file": {
                "target": "/.cargo/config.toml",
                "content": "[net]\noffline = true\n\n[source.assay]\ndirectory = \"vendor\"\n\n[source.crates-io]\nreplace-with = \"assay\"\n\n[source.\"git+https://git.example.org/inner?branch=feature%2Fx\"]\ngit = \"https://git.example.org/inner\"\nbranch = \"feature/x\"\nreplace-with = \"assay\"\n",
                "executable": false
              }
            },
            {
              "scratch": {
                "target": "/tmp",
                "size_bytes": 4294967296
              }
            },
            {
              "scratch": {
                "target": "/home/builder",
                "size_bytes": 4294967296
              }
            },
            {
              "copy": {
                "target": "/build",
                "source": "source",
                "mtime_unix_s": 1795376460,
                "size_bytes": 17179869184
              }
            }
          ],
          "steps": [
            {
              "name": "compile",
              "argv": [
                "cargo",
                "build",
                "--release",
                "--locked"
              ],
              "cwd": "/build",
              "variables": {
                "CARGO_BUILD_JOBS": "2",
                "CARGO_HOME": "/home/builder/.cargo",
                "CARGO_INCREMENTAL": "0",
                "CARGO_NET_OFFLINE": "true",
                "GREETING": "hello",
                "HOME": "/home/builder",
                "LC_ALL": "C.UTF-8",
                "PATH": "/toolchain/rust/bin:/usr/bin:/bin:/usr/sbin",
                "SOURCE_DATE_EPOCH": "1795376460",
                "TMPDIR": "/tmp",
                "TZ": "UTC",
                "USER": "builder"
              },
              "tier": "T0",
              "randomness": "real"
            }
          ],
          "collect": [
            {
              "path": "/build/target/release/greeter",
              "optional": false,
              "after_failure": false
            }
          ],
          "limits": {
            "wall_ms": 3600000,
            "processes": 4096,
            "memory_bytes": 8589934592,
            "open_files": 4096,
            "file_bytes": 4294967296,
            "output_bytes": 67108864,
            "events": 4000000,
            "collect_bytes": 4294967296
          }
        }"#]].assert_eq(&serde_json::to_string_pretty(&planned.plan).expect("it is JSON"));
    let trees: Vec<&str> = planned.trees.keys().map(String::as_str).collect();
    assert_eq!(trees, ["base", "rust", "source", "vendor"]);
    assert_eq!(planned.settings.epoch_unix_s, 1_795_376_460);
}

#[test]
fn the_digest_is_the_same_for_another_person_and_home() {
    let here = build(&spec(), &sample(), &source("file:///home/ada/greeter", "Ada"));
    let there = build(&spec(), &sample(), &source("file:///srv/ci/work/greeter", "Grace"));
    assert_eq!(here.digest(), there.digest());
}

#[test]
fn the_digest_covers_every_part() {
    let (lock, source) = (sample(), source("x", "Ada"));
    let mut digests = vec![build(&spec(), &lock, &source).digest()];
    let text = crate::spec::tests::GREETER;
    for (from, to) in [
        ("--release", "--profile=x"),
        ("GREETING", "GREETINGS"),
        ("release/greeter", "release/other"),
        ("tier = \"T0\"", "tier = \"T1\""),
        ("name = \"compile\"", "name = \"compile\"\ntier = \"T1\""),
        ("name = \"compile\"", "name = \"compile\"\ntier = \"T2\""),
        ("name = \"compile\"", "name = \"compile\"\nrandomness = \"seeded\""),
        ("name = \"compile\"", "name = \"compile\"\nscript-trace = true"),
    ] {
        let other = Spec::parse("assay.toml", text.replace(from, to).as_bytes()).expect(to);
        digests.push(build(&other, &lock, &source).digest());
    }
    let other = |change: &dyn Fn(&mut Lock)| {
        let mut lock = lock.clone();
        change(&mut lock);
        build(&spec(), &lock, &source).digest()
    };
    for keys in ["", "check = true\n", "recompress = true\n", "kind = \"tar\"\n"] {
        let tables = format!("{text}\n[[normalise]]\npath = \"target/release/*\"\n{keys}");
        let planned = build(&Spec::parse("assay.toml", tables.as_bytes()).expect(keys), &lock, &source);
        digests.push(planned.digest());
        let mut later = planned;
        later.normalise[0].format += 1;
        digests.push(later.digest());
    }
    digests.push(other(&|lock| lock.cpus = 3));
    digests.push(other(&|lock| lock.output_format = 9));
    digests.push(other(&|lock| lock.base.tree = Digest::of(b"other")));
    digests.push(other(&|lock| lock.toolchains[0].tree = Digest::of(b"other")));
    digests.push(other(&|lock| lock.lock_files[0].tree = Some(Digest::of(b"other"))));
    let mut changed = source.clone();
    changed.tree = Digest::of(b"other");
    digests.push(build(&spec(), &lock, &changed).digest());
    changed = source.clone();
    changed.revision.as_mut().expect("it has one").commit_time_unix_s += 1;
    digests.push(build(&spec(), &lock, &changed).digest());
    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), count);
}

#[test]
fn tiers_stand_in_steps_variables_and_settings() {
    let text = crate::spec::tests::GREETER.replace("tier = \"T0\"", "tier = \"T1\"");
    let step = "name = \"compile\"";
    let more = "name = \"pack\"\nrun = [\"tar\"]\ntier = \"T2\"\n\n[[step]]\nname = \"keys\"\nrun = [\"ssh-keygen\"]\nrandomness = \"seeded\"\n\n[[step]]\n";
    let spec = Spec::parse("assay.toml", text.replace(step, &format!("{more}{step}")).as_bytes()).expect("good");
    let planned = build(&spec, &sample(), &source("x", "Ada"));
    let steps: Vec<_> =
        planned.plan.steps.iter().map(|step| (step.name.as_str(), step.tier, step.randomness)).collect();
    let expected = [
        ("pack", Tier::T2, Randomness::Real),
        ("keys", Tier::T1, Randomness::Seeded),
        ("compile", Tier::T1, Randomness::Real),
    ];
    assert_eq!(steps, expected);
    assert_eq!(planned.settings.tier, "T1 pack=T2 keys=T1+seeded");
    assert_eq!(planned.plan.epoch_unix_s, planned.settings.epoch_unix_s);
    assert!(planned.plan.steps.iter().all(|step| step.variables["PYTHONHASHSEED"] == "0"));
    // A test has the real clock, and the variables of its own tier.
    let tested = test(&spec, &sample(), &source("x", "Ada"), &spec.tests[0], None);
    assert_eq!((tested.plan.steps[0].tier, tested.settings.tier.as_str()), (Tier::T1, "T1"));
    let highest = Spec::parse("assay.toml", text.replace("\"T1\"", "\"T2\"").as_bytes()).expect("good");
    assert_eq!(test(&highest, &sample(), &source("x", "Ada"), &spec.tests[0], None).plan.steps[0].tier, Tier::T1);
}

#[test]
fn a_time_before_1980_is_held() {
    let source = Source { tree: Digest::of(b"source"), revision: None };
    let planned = build(&spec(), &sample(), &source);
    assert_eq!(planned.settings.epoch_unix_s, EPOCH_MIN_UNIX_S);
    assert_eq!(planned.plan.steps[0].variables["SOURCE_DATE_EPOCH"], "315532800");
}

#[test]
fn the_plan_of_a_test_has_a_loopback_and_the_artifacts() {
    let spec = spec();
    let artifacts = Digest::of(b"artifacts");
    let planned = test(&spec, &sample(), &source("x", "Ada"), &spec.tests[0], Some(&artifacts));
    assert!(planned.plan.loopback && planned.plan.collect.is_empty());
    assert_eq!(planned.trees["artifacts"], artifacts);
    assert_eq!(planned.plan.steps[0].variables["ASSAY_ARTIFACTS"], "/artifacts");
    let without = test(&spec, &sample(), &source("x", "Ada"), &spec.tests[0], None);
    assert!(!without.plan.steps[0].variables.contains_key("ASSAY_ARTIFACTS"));
}

#[test]
fn a_project_without_cargo_has_no_configuration_of_it() {
    let mut lock = sample();
    lock.lock_files.clear();
    lock.toolchains.clear();
    lock.dependencies.clear();
    let planned = build(&spec(), &lock, &source("x", "Ada"));
    assert!(!planned.plan.mounts.iter().any(|mount| mount.target() == "/.cargo/config.toml"));
    assert_eq!(planned.plan.steps[0].variables["PATH"], "/usr/bin:/bin:/usr/sbin");
}

/// Builds that were stated before artifacts could be normalised are still found by their plan.
#[test]
fn a_plan_that_normalises_nothing_has_the_digest_of_former_versions() {
    let planned = build(&spec(), &sample(), &source("x", "Ada"));
    let canonical = serde_json::json!({
        "plan": planned.plan,
        "trees": planned.trees,
        "tier": planned.settings.tier,
        "outputFormat": planned.settings.output_format,
    });
    assert_eq!(planned.digest(), Digest::of(&wire::jcs::to_vec(&canonical)));
}
