//! All integration tests of the product, in one binary: what a user does, at the lowest boundary that shows it.

mod tidy;
