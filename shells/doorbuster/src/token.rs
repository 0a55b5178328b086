//! `doorbuster token`: a token for a buyer or an admin, signed by a data directory's development key.

use clap::Args;
use doorbuster_core::ids::UserId;
use doorbuster_embedded::data::read_dev_key;
use doorbuster_runtime::env::SystemEnv;
use doorbuster_web::token::{Caller, Role, Tokens};
use std::error::Error;
use std::path::PathBuf;

/// A development token lives for a week: longer than a sale, shorter than a forgotten laptop.
pub const TOKEN_MS: u64 = 7 * 24 * 3_600_000;

/// What a token is to say.
#[derive(Args)]
pub struct TokenArguments {
    /// Who: 1 to 64 printable ASCII characters without spaces.
    #[arg(long)]
    user: String,
    /// May use /admin.
    #[arg(long)]
    admin: bool,
    /// The data directory whose dev.key signs it.
    #[arg(long, default_value = ".doorbuster")]
    data: PathBuf,
}

/// Prints the token.
pub fn run(arguments: &TokenArguments) -> Result<(), Box<dyn Error>> {
    let key = read_dev_key(&arguments.data)
        .map_err(|error| format!("{error}; start `doorbuster up` once, it makes the key"))?;
    let role = if arguments.admin { Role::Admin } else { Role::Buyer };
    println!("{}", issue(&Tokens::new(&key), &arguments.user, role)?);
    Ok(())
}

/// Signs a token that begins now.
pub fn issue(tokens: &Tokens, user: &str, role: Role) -> Result<String, Box<dyn Error>> {
    let expires_at = SystemEnv::shared().now().wall.after_ms(TOKEN_MS);
    let caller = Caller { user: UserId::parse(user)?, role };
    Ok(tokens.issue(&caller, expires_at))
}
