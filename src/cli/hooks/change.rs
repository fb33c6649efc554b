//! `ven hooks add`, `edit` and `remove`: hooks that have a file of their own.

use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::config::setting;
use crate::daemon::hook_files::{HookFileFault, OwnFile, Whence};
use crate::hook::settings::Serializers;

pub(super) fn add(config: &Path, hook: &str, file: &Path, brought: &Serializers) -> anyhow::Result<()> {
    let own = OwnFile::of(config, hook)?;
    anyhow::ensure!(!own.exists(), "{}; see: ven hooks edit {hook}", HookFileFault::There(own.place));
    written(&own, &read(file)?, false, brought)
}

pub(super) fn edit(
    config: &Path,
    hook: &str,
    file: Option<&Path>,
    brought: &Serializers,
) -> anyhow::Result<()> {
    let own = OwnFile::of(config, hook)?.there()?;
    match file {
        Some(file) => written(&own, &read(file)?, true, brought),
        None => by_hand(&own, hook, brought),
    }
}

pub(super) fn remove(config: &Path, hook: &str) -> anyhow::Result<()> {
    let own = OwnFile::of(config, hook)?.there()?;
    own.remove()?;
    said(&format!("{} is gone; a VEN that runs goes on with it until: ven reload", own.place.display()))
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().take(1 << 20).read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

fn written(own: &OwnFile, text: &str, instead: bool, brought: &Serializers) -> anyhow::Result<()> {
    for warning in own.check(text, Whence::Here, brought)? {
        said(&format!("warning: {warning}"))?;
    }
    own.write(text, instead)?;
    said(&format!("{} is written; a VEN that runs takes it with: ven reload", own.place.display()))
}

/// In an editor; what is wrong afterwards stays there to be put right.
fn by_hand(own: &OwnFile, hook: &str, brought: &Serializers) -> anyhow::Result<()> {
    let mut draft = tempfile::Builder::new().prefix(hook).suffix(".toml").tempfile()?;
    draft.write_all(own.text()?.as_bytes())?;
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(setting);
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let ended = std::process::Command::new(program).args(words).arg(draft.path()).status();
    let ended = ended.with_context(|| format!("{program} cannot be started"))?;
    anyhow::ensure!(ended.success(), "{program} has failed, nothing is changed");
    let text = std::fs::read_to_string(draft.path())?;
    if let Err(error) = written(own, &text, true, brought) {
        let (_, kept) = draft.keep()?;
        let again = format!("ven hooks edit {hook} {}", kept.display());
        return Err(error.context(format!("nothing is changed; put {} right, then: {again}", kept.display())));
    }
    Ok(())
}

fn said(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
