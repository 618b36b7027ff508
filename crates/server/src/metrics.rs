//! Counts for a monitoring system, in Prometheus' text format 0.0.4
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;

/// The parts of the server that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    Oci,
    Log,
    Api,
    Sigstore,
    Pages,
}

const SURFACES: [(Surface, &str); 5] = [
    (Surface::Oci, "oci"),
    (Surface::Log, "log"),
    (Surface::Api, "api"),
    (Surface::Sigstore, "sigstore"),
    (Surface::Pages, "pages"),
];

/// Status classes 1xx to 5xx.
const CLASSES: usize = 5;

/// Counters since the start.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: [[AtomicU64; CLASSES]; SURFACES.len()],
    pushes: AtomicU64,
    statements: AtomicU64,
}

impl Surface {
    /// The surface that a path belongs to.
    pub(crate) fn of(path: &str) -> Surface {
        const SIGSTORE: [&str; 5] =
            ["/api/v2/signingCert", "/api/v2/trustBundle", "/api/v2/configuration", "/api/v1/timestamp", "/ct/"];
        if SIGSTORE.iter().any(|begin| path.starts_with(begin)) {
            return Surface::Sigstore;
        }
        if path.starts_with("/api/v2/") {
            return Surface::Log;
        }
        match path.split('/').nth(1) {
            Some("v2" | "token") => Surface::Oci,
            Some("log") if path.len() > "/log".len() => Surface::Log,
            Some("api" | "healthz" | "metrics") => Surface::Api,
            _ => Surface::Pages,
        }
    }
}

impl Metrics {
    /// Counts an answered request.
    pub(crate) fn answered(&self, surface: Surface, status: StatusCode) {
        let row = SURFACES.iter().position(|(known, _)| *known == surface).unwrap_or_default();
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES) - 1;
        self.requests[row][class].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an accepted manifest.
    pub(crate) fn pushed(&self) {
        self.pushes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts accepted statements.
    pub(crate) fn stated(&self, count: usize) {
        self.statements.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Returns all counts as text.
    pub(crate) fn text(&self, log_size: u64) -> String {
        let mut out = String::from("# TYPE assay_requests_total counter\n");
        // Writing to a String cannot fail.
        for ((_, surface), classes) in SURFACES.iter().zip(&self.requests) {
            for (class, count) in classes.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                let class = class + 1;
                let _ = writeln!(out, "assay_requests_total{{surface=\"{surface}\",status=\"{class}xx\"}} {count}");
            }
        }
        for (name, kind, value) in [
            ("assay_pushes_total", "counter", self.pushes.load(Ordering::Relaxed)),
            ("assay_statements_total", "counter", self.statements.load(Ordering::Relaxed)),
            ("assay_log_entries", "gauge", log_size),
        ] {
            let _ = writeln!(out, "# TYPE {name} {kind}\n{name} {value}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_surface() {
        for (path, surface) in [
            ("/v2/", Surface::Oci),
            ("/token", Surface::Oci),
            ("/log", Surface::Pages),
            ("/log/checkpoint", Surface::Log),
            ("/api/v1/server", Surface::Api),
            ("/api/v2/log/entries", Surface::Log),
            ("/api/v2/signingCert", Surface::Sigstore),
            ("/api/v1/timestamp/certchain", Surface::Sigstore),
            ("/ct/v1/get-sth", Surface::Sigstore),
            ("/metrics", Surface::Api),
            ("/", Surface::Pages),
            ("/artifact/sha256:0", Surface::Pages),
        ] {
            assert_eq!(Surface::of(path), surface, "{path}");
        }
    }

    #[test]
    fn counts_are_text() {
        let metrics = Metrics::default();
        metrics.answered(Surface::Oci, StatusCode::CREATED);
        metrics.pushed();
        let text = metrics.text(4);
        assert!(text.contains("assay_requests_total{surface=\"oci\",status=\"2xx\"} 1\n"), "{text}");
        assert!(text.contains("assay_pushes_total 1\n") && text.contains("assay_log_entries 4\n"), "{text}");
    }
}
