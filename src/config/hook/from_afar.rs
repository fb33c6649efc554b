//! What a hook may be that is made from afar: whoever may make one says whom the VEN tells, and gets no other power over its machine.

use std::path::Path;

use toml::de::DeTable;

use crate::hook::settings::{HookSettings, Target};

use super::super::folder_of;
use super::super::secret::SecretSource;
use super::file::{FOLDER, folder};
use super::secrets::secret_sources;

/// Settings that have a file read which somebody else may have written for other eyes.
const FILES: [&str; 2] = ["template_file", "ca"];

const HOW: &str = "make this hook on the machine of the VEN, with: ven hooks add";

/// Whether what stands in the file of a hook names no other file: those are read before anything else is known of it.
///
/// # Errors
///
/// Which it names, and what to do.
pub(crate) fn names_no_file(text: &str) -> Result<(), String> {
    let (table, _) = DeTable::parse_recoverable(text);
    let named = FILES.into_iter().find(|name| table.get_ref().contains_key(*name));
    named.map_or(Ok(()), |named| Err(format!("{named} has a file read; {HOW}")))
}

/// Whether a hook may be made by somebody who does not sit at the machine; `config`: the main file.
///
/// # Errors
///
/// Why not, and what to do.
pub(crate) fn is_fit_from_afar(hook: &HookSettings, config: &Path) -> Result<(), String> {
    let beyond = match &hook.target {
        Target::Http(target) if target.allow_private => "allow_private = true opens the own network",
        Target::Http(_) | Target::Mqtt(_) | Target::PvOutput(_) => return secrets_are_of_hooks(hook, config),
        Target::File(_) => "type = \"file\" writes files",
        Target::Tcp(_) => "type = \"tcp\" reaches the own network",
        Target::Serial(_) => "type = \"serial\" writes to devices",
        Target::Exec(_) => "type = \"exec\" starts programs",
    };
    Err(format!("{beyond}; {HOW}"))
}

/// Whether all of its secrets lie beside the files of hooks, where nobody lays a secret that is not for a hook.
fn secrets_are_of_hooks(hook: &HookSettings, config: &Path) -> Result<(), String> {
    let (around, beside) = (folder_of(config), folder(config));
    let is_beside = |source: &SecretSource| match source {
        SecretSource::Env(_) => false,
        SecretSource::File(path) => path.parent() == Some(&beside) && path.file_name().is_some(),
    };
    if secret_sources(hook, around).iter().all(is_beside) {
        return Ok(());
    }
    Err(format!(
        "expected its secrets as ${{file:{FOLDER}/NAME}}, which lie beside the files of hooks; or {HOW}"
    ))
}
