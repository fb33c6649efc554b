//! Reads `hooks.d/NAME.toml`: hooks that have a file of their own beside the configuration, made by `ven hooks add` or by hand.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::hook::settings::HookSettings;

use super::super::reader::{Reader, Section};
use super::super::{ConfigFault, folder_of};
use super::{Around, hook, is_name};

/// Beside the configuration.
pub(super) const FOLDER: &str = "hooks.d";
/// A file is no larger.
const SIZE: u64 = 1 << 20;
/// Group or others.
const OTHERS_WRITE: u32 = 0o022;

/// A file of one hook, read but not understood.
#[derive(Clone, Debug)]
pub(crate) struct HookFile {
    pub(crate) path: PathBuf,
    /// Or why it cannot be read.
    pub(crate) text: Result<String, String>,
}

impl HookFile {
    /// Where the hook of this name has its file.
    pub(crate) fn place(config: &Path, name: &str) -> PathBuf {
        folder(config).join(format!("{name}.toml"))
    }

    /// Every file that ends in `.toml`, by name; none where there is no such folder.
    pub(crate) fn all(config: &Path) -> Vec<Self> {
        let folder = folder(config);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => return vec![Self { path: folder, text: Err(error.to_string()) }],
        };
        let mut files = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) if entry.path().extension().is_some_and(|ending| ending == "toml") => {
                    files.push(Self { text: read(&entry.path()), path: entry.path() });
                }
                Ok(_) => {}
                Err(error) => files.push(Self { path: folder.clone(), text: Err(error.to_string()) }),
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files
    }

    /// The hook in it; `others` are there already, and `lines` says where.
    ///
    /// # Errors
    ///
    /// Every fault at once, with this file.
    pub(in crate::config) fn hook(
        &self,
        around: &Around<'_>,
        others: &[HookSettings],
        lines: &BTreeMap<String, usize>,
    ) -> Result<HookSettings, Vec<ConfigFault>> {
        let fault = |key: &str, what: String| {
            vec![ConfigFault { file: Some(self.path.clone()), line: None, key: key.to_owned(), what }]
        };
        let text = self.text.as_ref().map_err(|error| fault("", error.clone()))?;
        let name = self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if !is_name(name) {
            let what = "the file is called like the hook: a small letter and then at most 62 small letters, digits, _ and -";
            return Err(fault("", what.to_owned()));
        }
        if others.iter().any(|other| other.name == name) {
            let line = lines
                .get(&format!("hook.{name}"))
                .map_or_else(String::new, |line| format!(" on line {line}"));
            let what =
                format!("a hook \"{name}\" stands in the main configuration{line} too; rename one of them");
            return Err(fault("", what));
        }
        understood(text, around, name).map_err(|faults| {
            let here = |fault| ConfigFault { file: Some(self.path.clone()), ..fault };
            faults.into_iter().map(here).collect()
        })
    }
}

impl HookFile {
    /// The hook in it, as if there were nothing else in the configuration.
    ///
    /// # Errors
    ///
    /// Every fault at once, with this file.
    pub(crate) fn alone(&self) -> Result<HookSettings, Vec<ConfigFault>> {
        let folder = folder_of(&self.path);
        self.hook(&Around { folder, ven: "", meters: &[] }, &[], &BTreeMap::new())
    }
}

/// Where they lie; `config`: the main file.
pub(super) fn folder(config: &Path) -> PathBuf {
    folder_of(config).join(FOLDER)
}

fn read(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let about = file.metadata().map_err(|error| error.to_string())?;
    if !about.is_file() || about.len() > SIZE {
        return Err(format!("expected a file of at most {SIZE} octets"));
    }
    if about.mode() & OTHERS_WRITE != 0 {
        let path = path.display();
        return Err(format!(
            "others than its owner can write this file, and it says which programs are started; run: chmod go-w {path}"
        ));
    }
    let mut text = String::new();
    file.take(SIZE).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// A text as that of the file of this hook.
fn understood(text: &str, around: &Around<'_>, name: &str) -> Result<HookSettings, Vec<ConfigFault>> {
    let reader = Reader::new(text, BTreeMap::new());
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = error.span().map(|span| reader.line(span.start));
        reader.fault(line, "", error.message());
    }
    let hook = if errors.is_empty() {
        hook(Section::root(&reader, table.get_ref()), around, Some(name))
    } else {
        None
    };
    let (faults, _) = reader.finish();
    hook.filter(|_| faults.is_empty()).ok_or(faults)
}
