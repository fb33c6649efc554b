//! Reads in which words a hook tells.

use std::path::Path;

use crate::hook::settings::{OwnSerializer, Serializer, TimeZone, Words};

use super::super::fault::nearest;
use super::super::reader::Section;
use super::is_name;

/// A template is no larger.
const TEMPLATE_SIZE: u64 = 256 << 10;

pub(super) fn words(section: &Section<'_, '_>, folder: &Path) -> Words {
    let serializer = section.text("serializer").and_then(|found| match found.value.parse::<Serializer>() {
        Ok(serializer) => Some(serializer),
        // Whether the program brings it, is known when the hook is made ready.
        Err(_) if is_name(&found.value) && nearest(&found.value, Serializer::NAMES).is_none() => {
            Some(Serializer::Own(OwnSerializer::named(found.value)))
        }
        Err(error) => {
            section.reader.fault(found.line, &found.key, error.to_string());
            None
        }
    });
    let texts = |name| section.pairs(name).into_iter().map(|(name, found)| (name, found.value)).collect();
    Words {
        template: template(section, folder),
        serializer,
        content_type: section.text("content_type").map(|found| found.value),
        form: texts("form"),
        fields: texts("fields"),
        timezone: section.text("timezone").map_or(TimeZone::Utc, |found| found.value.as_str().into()),
    }
}

/// What stands here, or in a file of its own.
fn template(section: &Section<'_, '_>, folder: &Path) -> Option<String> {
    let (here, file) = (section.text("template"), section.text("template_file"));
    let Some(file) = file else { return here.map(|found| found.value) };
    if here.is_some() {
        section.reader.fault(file.line, &file.key, "stands beside template; take one of them out");
    }
    let path = folder.join(&file.value);
    match read_template(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            section.reader.fault(file.line, &file.key, format!("{}: {error}", path.display()));
            None
        }
    }
}

fn read_template(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > TEMPLATE_SIZE {
        return Err(format!("has {size} octets; a template has at most {TEMPLATE_SIZE}"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
