//! Keeps the frame counters of meters that encrypt, so that nobody can play an old telegram after a restart:
//! `<state>/counters-<meter>.json`. A meter that begins to count anew is heard again when the file is removed.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::metering::CounterGuard;

/// Where those of a meter are kept.
pub(super) fn file(state: &Path, meter: &str) -> PathBuf {
    state.join(format!("counters-{meter}.json"))
}

/// The counters of the last run; none where there was none.
pub(super) fn load(file: &Path) -> CounterGuard {
    let text = match std::fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return CounterGuard::default(),
        text => text,
    };
    let counters = text.and_then(|text| serde_json::from_slice(&text).map_err(io::Error::from));
    counters.unwrap_or_else(|error| {
        tracing::warn!("{}: {error}; telegrams from before may be played again", file.display());
        CounterGuard::default()
    })
}

/// Keeps them for the next run: all of them, or the old ones.
pub(super) fn save(file: &Path, counters: &CounterGuard) -> io::Result<()> {
    let new = file.with_extension("json.new");
    std::fs::write(&new, serde_json::to_vec(counters)?)?;
    std::fs::File::open(&new)?.sync_all()?;
    std::fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::{load, save};
    use crate::metering::CounterGuard;

    #[test]
    fn counters_come_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = super::file(folder.path(), "main");
        assert_eq!(load(&file), CounterGuard::default());
        let counters: CounterGuard =
            serde_json::from_str(r#"{"53414753FFFFFFFF": 41, "4B464D0000000001": 7}"#).unwrap();
        save(&file, &counters).unwrap();
        save(&file, &counters).unwrap();
        assert_eq!(load(&file), counters);
        std::fs::write(&file, "{").unwrap();
        assert_eq!(load(&file), CounterGuard::default());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
