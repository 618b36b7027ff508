//! libFuzzer's view of [`targets`]: one program, whose target `ASSAY_FUZZ` names.
//!
//! With `ASSAY_FUZZ_SEEDS=DIR` it writes the target's seeds into that directory and ends. `fuzz/run` sets both.

#![no_main]

mod targets;

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

use targets::{TARGETS, Target};

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

fn choose() {
    let name = std::env::var("ASSAY_FUZZ").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        println!("{}", names.join("\n"));
        std::process::exit(if name.is_empty() { 0 } else { 2 });
    };
    if let Some(directory) = std::env::var_os("ASSAY_FUZZ_SEEDS").map(PathBuf::from) {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{number}")), seed).expect("the corpus can be written");
        }
        std::process::exit(0);
    }
    CHOSEN.set(target).ok().expect("it is called once");
}

fuzz_target!(init: choose(), |bytes: &[u8]| {
    (CHOSEN.get().expect("it was chosen first").run)(bytes);
});
