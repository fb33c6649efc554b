//! Says where a secret stands; the file itself holds none.

use std::fs::{Metadata, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use crate::openadr::trust::Passphrase;

/// Where a secret is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// In an environment variable.
    Env(String),
    /// In a file; a line end behind it does not belong to it.
    File(PathBuf),
}

/// A setting of the user's own in the environment, as `EDITOR`.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

impl SecretSource {
    /// Reads `${env:NAME}` or `${file:/path}`; `None` where it is something else.
    pub(super) fn parse(text: &str, folder: &Path) -> Option<Self> {
        let (kind, name) = text.strip_prefix("${")?.strip_suffix('}')?.split_once(':')?;
        match kind {
            _ if name.is_empty() => None,
            "env" => Some(Self::Env(name.to_owned())),
            "file" => Some(Self::File(folder.join(name))),
            _ => None,
        }
    }

    /// The secret.
    ///
    /// # Errors
    ///
    /// Says why there is none, and never what was found.
    pub(crate) fn read(&self) -> Result<Passphrase, String> {
        self.text().map(Passphrase::new)
    }

    /// The same as text, wiped when it is dropped.
    ///
    /// # Errors
    ///
    /// As [`SecretSource::read`].
    pub(crate) fn text(&self) -> Result<Zeroizing<String>, String> {
        let (text, place) = match self {
            Self::Env(name) => {
                let text = std::env::var_os(name).ok_or_else(|| format!("${name} is not set"))?;
                let text = text.into_string().map_err(|_| format!("${name} is not UTF-8"))?;
                (text, format!("${name}"))
            }
            Self::File(path) => {
                let octets = read_private(path)?;
                let text = str::from_utf8(&octets);
                let text = text.map_err(|_| format!("{}: it is not UTF-8", path.display()))?;
                (text.to_owned(), path.display().to_string())
            }
        };
        let text = Zeroizing::new(text);
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        if secret.is_empty() {
            return Err(format!("{place} is empty"));
        }
        Ok(Zeroizing::new(secret.to_owned()))
    }
}

/// Longer than any secret, key or chain of certificates.
const LONGEST: u64 = 1 << 20;

/// What stands in a file with a secret, wiped when it is dropped.
///
/// What is judged is the file that was opened, not its name, so it cannot be exchanged meanwhile. Links are followed: that is how
/// secrets are put in place by Kubernetes and certbot. Who may only read it is spoken of elsewhere, as a warning.
///
/// # Errors
///
/// Where it cannot be read, or others can write it; never what stands in it.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let named = |what: String| format!("{}: {what}", path.display());
    // A pipe that nobody writes into would hold us up.
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| named(error.to_string()))?;
    let of = file.metadata().map_err(|error| named(error.to_string()))?;
    judge(Writers::of(&of), rustix::process::geteuid().as_raw(), path).map_err(named)?;
    // One that grows leaves copies behind.
    let length = usize::try_from(of.len().min(LONGEST)).unwrap_or_default();
    let mut secret = Zeroizing::new(Vec::with_capacity(length + 1));
    file.take(LONGEST + 1).read_to_end(&mut secret).map_err(|error| named(error.to_string()))?;
    if secret.len() as u64 > LONGEST {
        return Err(named(format!("is longer than {LONGEST} bytes, which no secret is")));
    }
    Ok(secret)
}

/// Who can change a file.
#[derive(Clone, Copy, Debug)]
struct Writers {
    is_file: bool,
    owner: u32,
    mode: u32,
}

impl Writers {
    fn of(file: &Metadata) -> Self {
        Self { is_file: file.is_file(), owner: file.uid(), mode: file.mode() }
    }
}

/// Whoever can write it says with which secret we speak; root can everything, and reads what its users have written.
fn judge(writers: Writers, us: u32, path: &Path) -> Result<(), String> {
    const OTHERS_WRITE: u32 = 0o022;
    let Writers { is_file, owner, mode } = writers;
    let path = path.display();
    if !is_file {
        return Err("is no file".to_owned());
    }
    if mode & OTHERS_WRITE != 0 {
        return Err(format!("others than its owner can change it; run: chmod 600 {path}"));
    }
    if us != 0 && owner != 0 && owner != us {
        return Err(format!(
            "belongs to another user (uid {owner}), who can change it; run: chown {us} {path}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn whoever_can_write_a_secret_says_what_it_is() {
        let judged = |is_file, owner, mode: u32, us| {
            judge(Writers { is_file, owner, mode: 0o100_000 | mode }, us, Path::new("/k")).err()
        };
        for (owner, mode, us) in [(7, 0o600, 7), (0, 0o400, 7), (7, 0o644, 7), (0, 0o440, 7), (7, 0o600, 0)] {
            assert_eq!(judged(true, owner, mode, us), None, "{owner} {mode:o} {us}");
        }
        for mode in [0o620, 0o602, 0o666] {
            let why = judged(true, 7, mode, 7).unwrap();
            assert_eq!(why, "others than its owner can change it; run: chmod 600 /k");
        }
        let why = judged(true, 8, 0o600, 7).unwrap();
        assert_eq!(why, "belongs to another user (uid 8), who can change it; run: chown 7 /k");
        assert_eq!(judged(false, 7, 0o600, 7).unwrap(), "is no file");
    }

    #[test]
    fn a_secret_is_read_from_the_file_that_was_judged() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("secret"), folder.path().join("link"));
        let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::write(&file, "hunter2\n").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        mode(0o600);
        for path in [&file, &link] {
            assert_eq!(&**SecretSource::File(path.clone()).text().unwrap(), "hunter2");
        }
        mode(0o622);
        for path in [&file, &link] {
            let why = SecretSource::File(path.clone()).text().unwrap_err();
            assert!(why.contains("others than its owner can change it") && !why.contains("hunter2"), "{why}");
        }
        mode(0o600);
        std::fs::write(&file, vec![b'x'; (1 << 20) + 1]).unwrap();
        assert!(SecretSource::File(file.clone()).text().unwrap_err().contains("longer than"));
        std::fs::write(&file, b"hunter2\xFF").unwrap();
        let why = SecretSource::File(file).text().unwrap_err();
        assert!(why.ends_with("it is not UTF-8"), "{why}");
    }

    #[test]
    fn a_pipe_in_place_of_a_secret_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        for path in [pipe, folder.path().to_owned(), Path::new("/dev/zero").to_owned()] {
            let why = SecretSource::File(path).text().unwrap_err();
            assert!(why.ends_with("is no file"), "{why}");
        }
    }
}
