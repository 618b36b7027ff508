//! A small HTTP service that greets people in their language.
//!
//! `greeting` knows words, `api` turns a request into an answer, `config` reads flags and variables, `server` moves
//! bytes. Only `server` does I/O.

pub mod api;
pub mod config;
pub mod greeting;
pub mod server;
