//! How a command ends: what is said, and the exit code by which scripts and watchmen know it.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::daemon::control::{AskError, Response};
use crate::daemon::store::StoreError;

/// It was tried, and did not work.
const FAILED: u8 = 1;
/// The configuration or the command line is wrong.
const USAGE: u8 = 2;
/// No VEN runs, or its store cannot be read.
const NOBODY: u8 = 3;

/// Why a command has not done what it was to do.
#[derive(Debug)]
pub(super) struct Fault {
    code: u8,
    pub(super) why: anyhow::Error,
}

impl Fault {
    /// It was tried, and did not work.
    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self { code: FAILED, why: anyhow::Error::msg(why.into()) }
    }

    /// The command line is wrong.
    pub(super) fn usage(why: impl Into<String>) -> Self {
        Self { code: USAGE, why: anyhow::Error::msg(why.into()) }
    }

    /// The store cannot be read.
    pub(super) const fn store(why: anyhow::Error) -> Self {
        Self { code: NOBODY, why }
    }

    /// What the VEN answers instead of what it was asked for.
    pub(super) fn answered(response: Response) -> Self {
        Self::failed(response.amiss())
    }

    /// Whoever reads our output has enough, as `head` has after ten lines.
    fn is_enough(&self) -> bool {
        let kind = self.why.downcast_ref::<io::Error>().map(io::Error::kind);
        kind == Some(io::ErrorKind::BrokenPipe)
    }
}

impl From<io::Error> for Fault {
    fn from(why: io::Error) -> Self {
        Self { code: FAILED, why: why.into() }
    }
}

impl From<ConfigError> for Fault {
    fn from(why: ConfigError) -> Self {
        Self { code: USAGE, why: why.into() }
    }
}

impl From<AskError> for Fault {
    fn from(why: AskError) -> Self {
        Self { code: NOBODY, why: why.into() }
    }
}

impl From<StoreError> for Fault {
    fn from(why: StoreError) -> Self {
        Self::store(why.into())
    }
}

/// Says what is wrong, and ends.
pub(super) fn exit(outcome: Result<(), Fault>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) if fault.is_enough() => ExitCode::SUCCESS,
        Err(fault) => {
            // Nobody is left to tell where even this fails.
            drop(writeln!(io::stderr(), "error: {:#}", fault.why));
            ExitCode::from(fault.code)
        }
    }
}
