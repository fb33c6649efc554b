//! `ven xml`: what stands between a VEN and a VTN, by hand.
//!
//! Exit codes: 0 done; `c14n` 2 where a document is refused; the others 1 where anything is wrong. The reason is one line on
//! stderr; what was asked for stands on stdout, or nothing does.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, ensure};
use clap::{Args, Subcommand, ValueEnum};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

use crate::daemon::clock::Clock;
use crate::daemon::entropy;
use crate::daemon::transport::tls;
use crate::openadr::signature::{Gate, Policy, SigningKey, Trust, TrustedKey, check, sign};
use crate::openadr::trust::Fingerprint;
use crate::openadr::xml::{
    Canonicalization, Document, Element, Inclusion, Limits, decode, decode_document, envelope,
};
use crate::time::{Span, Timestamp};

use super::plain::plain;

/// A certificate says who signed; beyond this it says when.
const WINDOW: Span = Span::from_seconds(300);

#[derive(Debug, Subcommand)]
pub(super) enum XmlCommand {
    /// Print the canonical form of a document, or of one element of it; exit code 2 where it is refused.
    C14n {
        /// The method.
        #[arg(long)]
        mode: Mode,
        /// The element, by the numbers of the elements on the way to it: /1 is the root, /1/2 its second child.
        #[arg(long)]
        path: Option<ElementPath>,
        /// Prefixes that an exclusive method treats as the inclusive ones do, with blanks between; #default is no prefix.
        #[arg(long)]
        prefixes: Option<String>,
        /// The document: UTF-8, without DOCTYPE.
        file: PathBuf,
    },
    /// Say whether an XML signature is valid and allowed: exit code 0 if so, 1 if not.
    ///
    /// Any signature inside one document, enveloped, enveloping or detached, by RSA or EC with SHA-256 and up; no DOCTYPE, no
    /// transform but canonicalisation and the enveloped signature, no reference out of the document. With --openadr, whether a
    /// message would be believed: one oadrSignedObject and one ReplayProtect, both signed, at most 5 minutes ago or ahead. No
    /// message is known from before, so a repetition counts as good.
    Verify {
        /// The document.
        file: PathBuf,
        #[command(flatten)]
        trusted: TrustedFile,
        /// The time to judge by, as 2030-01-02T03:04:05Z; without it, now.
        #[arg(long)]
        at: Option<Timestamp>,
        /// An attribute that holds ids, beside Id in whatever case.
        #[arg(long, value_name = "NAME")]
        id_attr: Option<String>,
        /// The rules of OpenADR; they need a certificate.
        #[arg(long, conflicts_with_all = ["trusted_key", "id_attr"])]
        openadr: bool,
        /// Do it so often, to measure how long it takes.
        #[arg(long, value_name = "TIMES", default_value_t = 1)]
        repeat: u32,
    },
    /// Sign a message that is not signed, as of now, and print it; it is written anew, as a VEN writes it.
    Sign {
        /// The message.
        file: PathBuf,
        /// The certificate, as PEM.
        #[arg(long)]
        cert: PathBuf,
        /// Its private key, as PEM.
        #[arg(long)]
        key: PathBuf,
        /// Do it so often, to measure how long it takes; the last is printed.
        #[arg(long, value_name = "TIMES", default_value_t = 1)]
        repeat: u32,
    },
    /// Print what a message says, as JSON; a signature is not checked.
    Decode {
        /// The message.
        file: PathBuf,
    },
}

/// Whose signature it must be.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct TrustedFile {
    /// The one certificate that may have signed it, as PEM; others behind it are ignored.
    #[arg(long, value_name = "CERT.pem")]
    trusted: Option<PathBuf>,
    /// The public key that must have signed it, as PEM (-----BEGIN PUBLIC KEY-----).
    #[arg(long, value_name = "SPKI.pem")]
    trusted_key: Option<PathBuf>,
}

/// The methods of canonicalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Canonical XML 1.0.
    Inclusive,
    /// The same, keeping comments.
    InclusiveComments,
    /// Canonical XML 1.1.
    Inclusive11,
    /// The same, keeping comments.
    Inclusive11Comments,
    /// Exclusive XML Canonicalization 1.0.
    Exclusive,
    /// The same, keeping comments.
    ExclusiveComments,
}

/// The child sequence of an `element()` pointer, as in `element(/1/2)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ElementPath(Vec<usize>);

impl std::str::FromStr for ElementPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let step = |step: &str| step.parse().ok().filter(|number| *number > 0 && !step.starts_with('+'));
        let steps = text.strip_prefix('/').and_then(|steps| steps.split('/').map(step).collect());
        steps.map(Self).ok_or_else(|| "expected numbers from 1 on, as /1/2".to_owned())
    }
}

pub(super) fn xml(command: XmlCommand) -> ExitCode {
    let refused = if matches!(command, XmlCommand::C14n { .. }) { 2 } else { 1 };
    let octets = match command {
        XmlCommand::C14n { mode, path, prefixes, file } => {
            c14n(mode, path.as_ref(), prefixes.as_deref(), &file)
        }
        XmlCommand::Verify { file, trusted, at, id_attr, openadr, repeat } => {
            let at = at.unwrap_or_else(|| Clock::start().now().wall);
            match trusted.trusted.as_deref() {
                Some(trusted) if openadr => certificate(trusted).and_then(|certificate| {
                    let (octets, pinned) = (read(&file)?, Fingerprint::of(&certificate));
                    again(repeat, || believe(&octets, &file, pinned, at))
                }),
                _ => trusted.key(at).and_then(|key| {
                    let octets = read(&file)?;
                    again(repeat, || verify(&octets, &file, &key, id_attr.as_deref()))
                }),
            }
        }
        XmlCommand::Sign { file, cert, key, repeat } => signed(&file, &cert, &key, repeat),
        XmlCommand::Decode { file } => decoded(&file),
    };
    let written = octets.and_then(|octets| {
        let mut out = std::io::stdout().lock();
        out.write_all(&octets).and_then(|()| out.flush()).context("stdout")
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(refused)
        }
    }
}

/// Does the same so often, and returns the last result, or the first failure.
fn again(times: u32, mut what: impl FnMut() -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    for _ in 1..times {
        what()?;
    }
    what()
}

/// Writes one line to stderr, whatever a document brought into it.
fn say(text: &str) {
    // Nobody is left to tell where even this fails.
    drop(writeln!(std::io::stderr(), "{}", plain(text)));
}

fn c14n(
    mode: Mode,
    path: Option<&ElementPath>,
    prefixes: Option<&str>,
    file: &Path,
) -> anyhow::Result<Vec<u8>> {
    let prefixes: Option<Vec<String>> =
        prefixes.map(|list| list.split_ascii_whitespace().map(str::to_owned).collect());
    let method = mode.method(prefixes)?;
    let octets = read(file)?;
    let document = Document::parse(&octets, &Limits::VTN).with_context(|| file.display().to_string())?;
    match path {
        None => Ok(method.of_document(&document)),
        Some(path) => Ok(method.of_element(&document, path.find(&document)?.id())),
    }
}

impl Mode {
    fn method(self, prefixes: Option<Vec<String>>) -> anyhow::Result<Canonicalization> {
        let exclusive = matches!(self, Self::Exclusive | Self::ExclusiveComments);
        ensure!(exclusive || prefixes.is_none(), "--prefixes belongs to the exclusive modes");
        let comments =
            matches!(self, Self::InclusiveComments | Self::Inclusive11Comments | Self::ExclusiveComments);
        let inclusion = match self {
            Self::Exclusive | Self::ExclusiveComments => Inclusion::Exclusive(prefixes.unwrap_or_default()),
            Self::Inclusive | Self::InclusiveComments => Inclusion::Inclusive,
            Self::Inclusive11 | Self::Inclusive11Comments => Inclusion::Inclusive11,
        };
        Ok(Canonicalization { inclusion, comments })
    }
}

impl ElementPath {
    fn find<'d>(&self, document: &'d Document<'d>) -> anyhow::Result<Element<'d>> {
        let mut here = Element::root(document);
        for (at, step) in self.0.iter().enumerate() {
            let next =
                if at == 0 { Some(here).filter(|_| *step == 1) } else { here.elements().nth(step - 1) };
            here = next.with_context(|| format!("--path leads nowhere at step {}, /{step}", at + 1))?;
        }
        Ok(here)
    }
}

impl TrustedFile {
    fn key(&self, at: Timestamp) -> anyhow::Result<TrustedKey> {
        if let Some(path) = &self.trusted {
            return TrustedKey::of_certificate(&certificate(path)?, at)
                .with_context(|| path.display().to_string());
        }
        let path = self.trusted_key.as_deref().context("neither --trusted nor --trusted-key")?;
        let name = || path.display().to_string();
        let der = SubjectPublicKeyInfoDer::from_pem_slice(&read(path)?).with_context(name)?;
        TrustedKey::of_public_key(&der).with_context(name)
    }
}

/// The first certificate of a file.
fn certificate(path: &Path) -> anyhow::Result<CertificateDer<'static>> {
    let name = || path.display().to_string();
    tls::certificates(&read(path)?).with_context(name)?.into_iter().next().with_context(name)
}

fn verify(
    octets: &[u8],
    file: &Path,
    key: &TrustedKey,
    id_attribute: Option<&str>,
) -> anyhow::Result<Vec<u8>> {
    let covered =
        check(octets, key, id_attribute).map_err(|invalid| anyhow!("{}: {invalid}", file.display()))?;
    Ok(format!("valid: covers {}\n", covered.join(", ")).into_bytes())
}

/// Whether a message would be believed.
fn believe(octets: &[u8], file: &Path, pinned: Fingerprint, at: Timestamp) -> anyhow::Result<Vec<u8>> {
    let mut gate = Gate::new(Policy::Require(Trust::Pinned(vec![pinned])), WINDOW, Limits::VEN);
    // A refusal names its cause itself, so it does not go into a chain.
    let verified = gate.open(octets, at).map_err(|refusal| anyhow!("{}: {refusal}", file.display()))?;
    Ok(format!("valid: {}, signed by {pinned}\n", verified.into_content().kind()).into_bytes())
}

fn signed(file: &Path, cert: &Path, key: &Path, times: u32) -> anyhow::Result<Vec<u8>> {
    let dice = entropy::dice();
    let key = SigningKey::from_pem(&read(key)?, &read(cert)?, &dice)
        .with_context(|| format!("{} with {}", key.display(), cert.display()))?;
    let name = || file.display().to_string();
    let octets = read(file)?;
    let document = Document::parse(&octets, &Limits::VTN).with_context(name)?;
    let envelope = envelope(&document).with_context(name)?;
    ensure!(envelope.signature.is_none(), "{}: it is signed already", file.display());
    let payload = decode(envelope.message).with_context(name)?;
    again(times, || {
        let text = sign(&payload, &key, Clock::start().now().wall, &dice);
        Ok(text.map_err(|error| anyhow!("{}: {error}", file.display()))?.into_bytes())
    })
}

fn decoded(file: &Path) -> anyhow::Result<Vec<u8>> {
    let payload = decode_document(&read(file)?, &Limits::VTN).with_context(|| file.display().to_string())?;
    say("unverified: no signature was checked, so anybody may have written this");
    let mut said = serde_json::to_value(&payload)?;
    leave_out_nothing(&mut said);
    Ok(format!("{said:#}\n").into_bytes())
}

/// Takes away what a message does not say.
fn leave_out_nothing(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(leave_out_nothing);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(leave_out_nothing),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

/// Reads a file, but no more of it than a document may have; the one byte beyond makes it refused.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = || path.display().to_string();
    let most = u64::try_from(Limits::VTN.bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Vec::new();
    let file = std::fs::File::open(path).with_context(name)?;
    file.take(most).read_to_end(&mut octets).with_context(name)?;
    Ok(octets)
}
