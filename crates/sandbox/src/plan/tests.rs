//! Tests of plan checking.
