//! Keeps the last telegrams of each meter that were refused, for support: `<state>/refused-<meter>/`.
//!
//! Two files each, named by the time: `.bin` with the bytes, which `ven meter replay` reads, and `.txt` with the reason. Noise must
//! not wear out a memory card, so after the first few only one in some minutes is written.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::metering::Refused;
use crate::time::{Now, Span};

/// So many are kept for each meter.
const KEPT: usize = 16;
/// So many may be written at once; one more after each pause.
const AT_ONCE: i64 = 16;
const PAUSE: Span = Span::from_seconds(600);

/// Where a meter's are kept.
pub(crate) fn folder(state: &Path, meter: &str) -> PathBuf {
    state.join(format!("refused-{meter}"))
}

/// Writes what was refused, oldest away first.
#[derive(Debug)]
pub(crate) struct RefusedRing {
    folder: PathBuf,
    /// Before this, as many were written as one at a time would have been.
    spent_until: Span,
}

impl RefusedRing {
    pub(crate) fn new(folder: PathBuf, now: Span) -> Self {
        Self { folder, spent_until: now - PAUSE * AT_ONCE }
    }

    /// Keeps it, unless too many came lately. That it cannot be written is no reason for anything.
    pub(crate) fn keep(&mut self, now: Now, refused: &Refused) {
        if refused.bytes.is_empty() || !self.may_write(now.since_start) {
            return;
        }
        let name: String = now.wall.to_string().replace(':', "-");
        let (folder, refused) = (self.folder.clone(), refused.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = write(&folder, &name, &refused) {
                tracing::debug!("{}: {error}", folder.display());
            }
        });
    }

    fn may_write(&mut self, now: Span) -> bool {
        let until = self.spent_until.max(now - PAUSE * AT_ONCE) + PAUSE;
        let may = until <= now;
        if may {
            self.spent_until = until;
        }
        may
    }
}

/// Writes one, and removes those that are too many.
fn write(folder: &Path, name: &str, refused: &Refused) -> io::Result<()> {
    // A telegram says what a household does: it is its user's alone.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for (ending, content) in
        [("bin", refused.bytes.as_slice()), ("txt", format!("{}\n", refused.why).as_bytes())]
    {
        let file = folder.join(format!("{name}.{ending}"));
        let mut options = std::fs::File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
        io::Write::write_all(&mut file, content)?;
    }
    let kept = list(folder)?;
    for old in kept.iter().rev().skip(KEPT) {
        std::fs::remove_file(&old.file)?;
        std::fs::remove_file(old.file.with_extension("txt"))?;
    }
    Ok(())
}

/// One that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// With the bytes.
    pub(crate) file: PathBuf,
    /// When it came, as the name of its file says.
    pub(crate) at: String,
    pub(crate) why: String,
}

/// Those that were kept in a folder, oldest first; none where there is no folder.
///
/// # Errors
///
/// Where the folder cannot be read.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<Kept>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut kept = Vec::new();
    for entry in entries {
        let file = entry?.path();
        if file.extension().is_some_and(|ending| ending == "bin") {
            let at = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let why = std::fs::read_to_string(file.with_extension("txt")).unwrap_or_default();
            kept.push(Kept { at, why: why.trim_end().to_owned(), file });
        }
    }
    kept.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::{KEPT, RefusedRing, list, write};
    use crate::metering::{Refused, Why};
    use crate::time::Span;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_last_ones_are_kept_for_their_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state/refused-main");
        assert_eq!(list(&folder).unwrap(), [], "nothing yet");
        for at in 10..40_u8 {
            let refused = Refused::new(Why::Crc { found: at.into(), expected: 0 }, &[at]);
            write(&folder, &format!("2030-01-01T00-00-{at}Z"), &refused).unwrap();
        }
        let kept = list(&folder).unwrap();
        assert_eq!(kept.len(), KEPT);
        let last = kept.last().unwrap();
        assert_eq!(
            (last.at.as_str(), last.why.as_str()),
            ("2030-01-01T00-00-39Z", "checksum is 0027, expected 0000")
        );
        assert_eq!(std::fs::read(&last.file).unwrap(), [39]);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2 * KEPT);
        assert_eq!(std::fs::metadata(&last.file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn noise_does_not_wear_out_the_disk() {
        let mut ring = RefusedRing::new("".into(), Span::ZERO);
        let mut written = 0;
        for second in 0..86_400 {
            written += usize::from(ring.may_write(Span::from_seconds(second)));
        }
        assert_eq!(written, 16 + 143);
    }
}
