//! Looking inside things: archives, ELF binaries, images, lock files, Dockerfiles, foreign provenance.
//!
//! Every function here reads bytes that somebody else made, so every one has limits and fails closed.
//! Nothing here opens a socket or a database, and nothing finds a file by itself: bytes come as arguments or through
//! a closure of the caller.

#![forbid(unsafe_code)]

pub mod archive;

pub mod compressed;

pub mod deb;

pub mod dockerfile;

pub mod elf;

pub mod image;

pub mod lock_file;

pub mod pom;

pub mod provenance;
