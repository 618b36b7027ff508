//! `assay admin token`: by the home's own keys, or through the server that holds the home.

use attest::predicate::grant::{Action, Grant};
use registry::token::{self, NewToken, TokenError};
use serde_json::{Value, json};
use store::ledger::GrantRow;
use wire::digest::Digest;

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::keys::KeyName;
use crate::machine;
use crate::remote::api::Granted;
use crate::report::Report;
use crate::session::Session;

/// Give, list and revoke access tokens; each is a logged statement about the token's SHA-256
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Give a new token a role; it is printed once
///
/// Example: assay admin token create ci --role publisher --repository 'team/*'
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Whose token it is
    name: String,
    /// reader, publisher, deployer or admin
    #[arg(long)]
    role: String,
    /// Pattern of the repositories that it holds for; may be repeated
    #[arg(long, default_value = "*")]
    repository: Vec<String>,
}

/// List tokens by their digests
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {}

/// Take every role from a token
#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// SHA-256 of the token, as `list` shows it, or the token's name
    #[arg(value_name = "TOKEN")]
    which: String, // not `token`: that is the global option, and one would be read for the other
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Report> {
    let mut session = Session::open(context)?;
    let report = match command {
        Command::Create(args) => create(&mut session, args),
        Command::List(_) => list(&session),
        Command::Revoke(args) => revoke(&mut session, &args.which),
    };
    session.close()?;
    report
}

fn create(session: &mut Session<'_>, args: &CreateArgs) -> Result<Report> {
    let new = checked(&args.name, &args.role, &args.repository)?;
    let token = match session.server() {
        Some(server) => server.give_token(&new)?,
        None => give(session, &new)?,
    };
    let json = json!({
        "name": args.name, "role": args.role, "repositories": args.repository, "token": token,
        "digest": Digest::of(token.as_bytes()),
    });
    Ok(Report::yes(json, format!("{token}\nthis is the only time that the token is shown")))
}

fn checked(name: &str, role: &str, repositories: &[String]) -> Result<NewToken> {
    NewToken::new(name, role, repositories).map_err(|error| {
        let code = match &error {
            TokenError::Role => "role",
            TokenError::Name => "token",
            TokenError::Repositories | TokenError::Pattern(_) => "pattern",
        };
        Failure::new(code, format!("giving a token to `{name}`"))
            .because(&error)
            .hint("assay admin token create NAME --role ROLE --repository PATTERN")
    })
}

/// Makes a token, states its grant, and returns it.
pub(crate) fn grant(session: &mut Session<'_>, name: &str, role: &str, repositories: &[String]) -> Result<String> {
    give(session, &checked(name, role, repositories)?)
}

fn give(session: &mut Session<'_>, new: &NewToken) -> Result<String> {
    let token = token::text(machine::random()?);
    let grant = Grant {
        token: Digest::of(token.as_bytes()),
        name: new.name.clone(),
        role: new.role.name().to_owned(),
        repositories: new.repositories.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        action: Action::Grant,
        actor: machine::invoker(),
        at: machine::now()?,
    };
    session.record(KeyName::Admin, &[attest::grant(&grant)])?;
    Ok(token)
}

fn granted(session: &Session<'_>) -> Result<Vec<Granted>> {
    if let Some(server) = session.server() {
        return server.tokens();
    }
    let home = super::local(session, "listing tokens")?;
    let rows = session.context().runtime.block_on(home.ledger().grants(None)).context("ledger", "listing tokens")?;
    Ok(rows.into_iter().map(of_row).collect())
}

fn of_row(row: GrantRow) -> Granted {
    Granted { token: row.token, name: row.name, role: row.role, repositories: row.repositories, granted: row.granted }
}

fn list(session: &Session<'_>) -> Result<Report> {
    let granted = granted(session)?;
    let line = |one: &Granted| format!("{} {} {} {}", one.token, one.name, one.role, one.repositories.join(","));
    let text: Vec<String> = granted.iter().map(line).collect();
    let row = |one: &Granted| -> Value {
        json!({
            "token": one.token, "name": one.name, "role": one.role, "repositories": one.repositories,
            "granted": one.granted,
        })
    };
    let json = json!({"tokens": granted.iter().map(row).collect::<Vec<_>>()});
    Ok(Report::yes(json, if text.is_empty() { "no token was given".to_owned() } else { text.join("\n") }))
}

fn revoke(session: &mut Session<'_>, which: &str) -> Result<Report> {
    let taken = match session.server() {
        Some(server) => server.revoke_tokens(which)?,
        None => take(session, which)?,
    };
    if taken.is_empty() {
        return Err(Failure::no("no-token", format!("no token is `{which}`")).hint("assay admin token list"));
    }
    Ok(Report::yes(json!({"revoked": taken.len()}), format!("took {} role(s) from `{which}`", taken.len())))
}

fn take(session: &mut Session<'_>, which: &str) -> Result<Vec<Granted>> {
    let mut mine = granted(session)?;
    mine.retain(|one| one.name == which || one.token.to_string() == which);
    let now = machine::now()?;
    let revoked = |one: &Granted| {
        attest::grant(&Grant {
            token: one.token,
            name: one.name.clone(),
            role: one.role.clone(),
            repositories: one.repositories.clone(),
            action: Action::Revoke,
            actor: machine::invoker(),
            at: now,
        })
    };
    let statements: Vec<_> = mine.iter().map(revoked).collect();
    if !statements.is_empty() {
        session.record(KeyName::Admin, &statements)?;
    }
    Ok(mine)
}
