//! `ven hooks add`, `edit` and `remove`: hooks that have a file of their own.
//!
//! What is wrong is told, and nothing is changed; what is right takes the place of what was there in one step.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::config::{Config, HookFile, is_name, setting, with_secrets};
use crate::daemon::outbox::Parts;
use crate::hook::settings::Serializers;

pub(super) fn add(config: &Path, hook: &str, file: &Path, brought: &Serializers) -> anyhow::Result<()> {
    anyhow::ensure!(
        is_name(hook),
        "expected a name of a small letter and then at most 62 small letters, digits, _ and -, found \"{hook}\""
    );
    let place = HookFile::place(config, hook);
    anyhow::ensure!(!place.exists(), "{} is there already; see: ven hooks edit {hook}", place.display());
    let text = read(file)?;
    check(config, hook, (&place, &text), brought)?;
    if let Some(folder) = place.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    written(&place, &text, false)
}

pub(super) fn edit(
    config: &Path,
    hook: &str,
    file: Option<&Path>,
    brought: &Serializers,
) -> anyhow::Result<()> {
    let place = own_file(config, hook)?;
    let text = match file {
        Some(file) => read(file)?,
        None => return by_hand(config, hook, &place, brought),
    };
    check(config, hook, (&place, &text), brought)?;
    written(&place, &text, true)
}

pub(super) fn remove(config: &Path, hook: &str) -> anyhow::Result<()> {
    let place = own_file(config, hook)?;
    std::fs::remove_file(&place).with_context(|| place.display().to_string())?;
    said(&format!("{} is gone; a VEN that runs goes on with it until: ven reload", place.display()))
}

/// Where the hook stands, if that is a file of its own.
fn own_file(config: &Path, hook: &str) -> anyhow::Result<PathBuf> {
    anyhow::ensure!(is_name(hook), "no hook can be called \"{hook}\"");
    let place = HookFile::place(config, hook);
    if place.exists() {
        return Ok(place);
    }
    // A configuration with faults may be why somebody changes it.
    let in_main =
        Config::load(config).is_ok_and(|config| config.hooks.iter().any(|other| other.name == hook));
    anyhow::ensure!(!in_main, "{hook} stands in {}; change it there", config.display());
    anyhow::bail!("no hook is called \"{hook}\"; there is no {}", place.display())
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().take(1 << 20).read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

/// As the VEN would check it when it starts.
fn check(
    config: &Path,
    hook: &str,
    (place, text): (&Path, &str),
    brought: &Serializers,
) -> anyhow::Result<()> {
    let file = HookFile { path: place.to_owned(), text: Ok(text.to_owned()) };
    let mut loaded = Config::load_with(config, file)?;
    loaded.bring_serializers(brought);
    let folder = config.parent().unwrap_or_else(|| Path::new(""));
    let settings = loaded.hooks.iter().find(|other| other.name == hook).context("the hook is not there")?;
    let ready = with_secrets(settings, folder).and_then(|settings| Parts::of(&settings));
    let parts = ready.map_err(|error| anyhow::anyhow!("{}: {error}", place.display()))?;
    for warning in parts.renderer.warnings() {
        said(&format!("warning: {warning}"))?;
    }
    Ok(())
}

/// Readers see the old file or the new one, whole; only its owner reads it.
fn written(place: &Path, text: &str, instead: bool) -> anyhow::Result<()> {
    let folder = place.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    let placed = if instead { file.persist(place) } else { file.persist_noclobber(place) };
    placed.with_context(|| place.display().to_string())?;
    std::fs::File::open(folder)?.sync_all()?;
    said(&format!("{} is written; a VEN that runs takes it with: ven reload", place.display()))
}

/// In an editor; what is wrong afterwards stays there to be put right.
fn by_hand(config: &Path, hook: &str, place: &Path, brought: &Serializers) -> anyhow::Result<()> {
    let mut draft = tempfile::Builder::new().prefix(hook).suffix(".toml").tempfile()?;
    draft.write_all(std::fs::read_to_string(place)?.as_bytes())?;
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(setting);
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let ended = std::process::Command::new(program).args(words).arg(draft.path()).status();
    let ended = ended.with_context(|| format!("{program} cannot be started"))?;
    anyhow::ensure!(ended.success(), "{program} has failed, nothing is changed");
    let text = std::fs::read_to_string(draft.path())?;
    if let Err(error) = check(config, hook, (place, &text), brought) {
        let (_, kept) = draft.keep()?;
        let again = format!("ven hooks edit {hook} {}", kept.display());
        return Err(error.context(format!("nothing is changed; put {} right, then: {again}", kept.display())));
    }
    written(place, &text, true)
}

fn said(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
