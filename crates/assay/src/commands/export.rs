//! `assay export`

use std::fs;
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};

use serde_json::json;
use wire::sigstore_bundle::Bundle;

use crate::commands::push;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::kit::{self, Index, Member};
use crate::remote::parcel::{Contents, Parcel};
use crate::report::Report;
use crate::resolve::resolve;
use crate::session::Session;

/// Write an artifact, its statements and whom this home trusts into one file
///
/// `assay verify --offline FILE --trust trust.json` checks it without home and network. The same artifact with the same
/// statements and trust gives the same bytes. The inputs of the build are not in it.
///
/// REF is NAME[:TAG][@sha256:…], sha256:…, oci:DIR, or a path that contains `/`.
///
/// Example: assay export greeter -o greeter.assay.tar
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to export
    #[arg(value_name = "REF")]
    reference: String,
    /// The file to write; one that is there is refused
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let session = Session::open(context)?;
    let outcome = export(args, &session);
    session.close()?;
    outcome
}

fn export(args: &Args, session: &Session<'_>) -> Result<Report> {
    let resolved = push::named(resolve(session, &args.reference)?, &args.reference);
    let parcel = push::pack(session, &args.reference, &resolved)?;
    let statements: Vec<Vec<u8>> = push::statements(session, &parcel)?.values().map(Bundle::to_json).collect();
    let trust_path = session.context().home.trust();
    let trust = fs::read(&trust_path).context("trust", format!("reading `{}`", trust_path.display()))?;
    let trusted_root = sign::trust::to_trusted_root_json(session.trust()).into_bytes();
    let mut members = blobs(session, &parcel)?;
    let mut held: Vec<(Member, Vec<u8>)> =
        statements.into_iter().map(|bundle| (Member::statement(&bundle), bundle)).collect();
    held.push((Member::file(kit::TRUST, &trust), trust));
    held.push((Member::file(kit::TRUSTED_ROOT, &trusted_root), trusted_root));
    members.extend(held.iter().map(|(member, _)| member.clone()));
    let count = held.len() - 2;
    let subject = subject(&parcel);
    let index = Index::new(subject, members).context("kit", "listing what the kit holds")?;
    let blobs = &session.inputs().blobs;
    create(&args.output, &index, &mut |member| match held.iter().find(|(of, _)| of == member) {
        Some((_, bytes)) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
        None => Ok(Box::new(blobs.open(&member.digest).map_err(io::Error::other)?)),
    })?;
    let json = json!({"file": args.output, "subject": subject, "members": index.members, "statements": count});
    let text = format!("wrote {}: {subject} with {count} statements", args.output.display());
    Ok(Report::yes(json, text))
}

fn subject(parcel: &Parcel) -> wire::digest::Digest {
    match &parcel.contents {
        Contents::File(_, digest) => *digest,
        Contents::Image => parcel.descriptor.digest,
    }
}

/// The artifact's blobs; each is digested before anything is written.
fn blobs(session: &Session<'_>, parcel: &Parcel) -> Result<Vec<Member>> {
    let mut digests = vec![subject(parcel)];
    if parcel.contents == Contents::Image {
        digests.extend(parcel.blobs.iter().map(|blob| blob.digest));
    }
    digests.sort();
    digests.dedup();
    let member = |digest| {
        let size = session.inputs().blobs.verify(&digest).map_err(|error| {
            Failure::no("artifact-damaged", format!("the stored bytes of {digest}"))
                .because(&error)
                .hint("assay admin fsck")
        })?;
        Ok(Member::blob(digest, size))
    };
    digests.into_iter().map(member).collect()
}

/// Writes beside the place, syncs, and takes the name only if nobody has it.
fn create(path: &Path, index: &Index, open: &mut dyn FnMut(&Member) -> io::Result<Box<dyn Read>>) -> Result<()> {
    let doing = || format!("writing `{}`", path.display());
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut to = BufWriter::new(fs::File::create(&partial).context("output", doing())?);
    let written = kit::write(index, &mut to, open).context("output", doing()).and_then(|()| {
        let file = to.into_inner().map_err(io::IntoInnerError::into_error).context("output", doing())?;
        file.sync_all().context("output", doing())?;
        fs::hard_link(&partial, path).context("output", doing())
    });
    let removed = fs::remove_file(&partial).context("output", doing());
    written.and(removed)
}
