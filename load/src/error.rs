//! What stops a run before it has a verdict.

use std::io;
use std::path::PathBuf;

use crate::platform::PlatformError;

/// A run that could not be made or could not be judged. It is never a verdict about the platform.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The key that signs the buyers' tokens cannot be read.
    #[error(
        "cannot read the signing key {path}: {source} (is --data the directory that the platform was started with?)"
    )]
    SigningKey {
        /// The file that was tried.
        path: PathBuf,
        /// Why it could not be read.
        source: io::Error,
    },
    /// The platform refused or did not answer an administrative call.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A report file cannot be written.
    #[error("cannot write {path}: {source}")]
    Output {
        /// The file or directory.
        path: PathBuf,
        /// Why it could not be written.
        source: io::Error,
    },
    /// The bare server that is the base of a comparison did not start.
    #[error("the bare server did not start: {0}")]
    Bare(String),
    /// A task of the generator itself ended in a panic: a bug of this tool.
    #[error("the generator failed: {0}")]
    Generator(String),
}
