//! The example service, embedded, so that `assay quickstart` needs nothing but the program.

/// The files of `examples/greeter`, by path.
pub(crate) const FILES: [(&str, &[u8]); 11] = [
    (".gitignore", include_bytes!("../../../examples/greeter/.gitignore")),
    ("Cargo.lock", include_bytes!("../../../examples/greeter/Cargo.lock")),
    ("Cargo.toml", include_bytes!("../../../examples/greeter/Cargo.toml")),
    ("rustfmt.toml", include_bytes!("../../../examples/greeter/rustfmt.toml")),
    ("src/api.rs", include_bytes!("../../../examples/greeter/src/api.rs")),
    ("src/config.rs", include_bytes!("../../../examples/greeter/src/config.rs")),
    ("src/greeting.rs", include_bytes!("../../../examples/greeter/src/greeting.rs")),
    ("src/lib.rs", include_bytes!("../../../examples/greeter/src/lib.rs")),
    ("src/main.rs", include_bytes!("../../../examples/greeter/src/main.rs")),
    ("src/server.rs", include_bytes!("../../../examples/greeter/src/server.rs")),
    ("tests/service.rs", include_bytes!("../../../examples/greeter/tests/service.rs")),
];
