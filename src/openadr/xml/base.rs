//! Joins the values of xml:base, as Canonical XML 1.1 does where elements between them are left out.
//!
//! Section 2.4, join-URI-References, is RFC 3986 section 5.2 for values that may all be relative: the base needs no scheme,
//! leading `../` stay, several `/` become one, a last `..` becomes `../`, and the fragment of the reference is dropped.
//! Nothing is looked up anywhere.

/// The parts of a URI reference (RFC 3986, appendix B), without its fragment.
#[derive(Clone, Copy)]
struct Parts<'t> {
    scheme: Option<&'t str>,
    authority: Option<&'t str>,
    path: &'t str,
    query: Option<&'t str>,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Self {
        let text = text.split('#').next().unwrap_or(text);
        let (text, query) = text.split_once('?').map_or((text, None), |(text, query)| (text, Some(query)));
        let (scheme, text) = match text.split_once(':') {
            Some((scheme, rest)) if !scheme.is_empty() && !scheme.contains('/') => (Some(scheme), rest),
            _ => (None, text),
        };
        let (authority, path) = match text.strip_prefix("//") {
            Some(text) => {
                let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
                (Some(authority), path)
            }
            None => (None, text),
        };
        Self { scheme, authority, path, query }
    }
}

/// The one value that stands for `base` on an element and `reference` on one inside it.
pub(super) fn join(base: &str, reference: &str) -> String {
    let (base, reference) = (Parts::of(base), Parts::of(reference));
    if reference.scheme.is_some() || reference.authority.is_some() {
        let scheme = reference.scheme.or(base.scheme);
        return written(Parts { scheme, ..reference }, &without_dots(reference.path));
    }
    if reference.path.is_empty() {
        return written(Parts { query: reference.query.or(base.query), ..base }, base.path);
    }
    let path = if reference.path.starts_with('/') {
        without_dots(reference.path)
    } else {
        without_dots(&format!("{}{}", folder(base), reference.path))
    };
    written(Parts { query: reference.query, ..base }, &path)
}

/// The path of a base up to its last `/`; a last segment `..` is a folder too.
fn folder(base: Parts<'_>) -> String {
    if base.path.is_empty() && base.authority.is_some() {
        return "/".to_owned();
    }
    if base.path == ".." || base.path.ends_with("/..") {
        return format!("{}/", base.path);
    }
    base.path[..base.path.rfind('/').map_or(0, |at| at + 1)].to_owned()
}

/// The path without `.` and without every `..` that has something to take away.
fn without_dots(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    let mut last = "";
    for segment in path.split('/') {
        last = segment;
        match segment {
            "" | "." => {}
            ".." => match kept.last() {
                Some(before) if *before != ".." => drop(kept.pop()),
                None if absolute => {}
                Some(_) | None => kept.push(".."),
            },
            _ => kept.push(segment),
        }
    }
    let folder = matches!(last, "" | "." | "..") && !kept.is_empty();
    format!("{}{}{}", if absolute { "/" } else { "" }, kept.join("/"), if folder { "/" } else { "" })
}

fn written(parts: Parts<'_>, path: &str) -> String {
    let scheme = parts.scheme.map(|scheme| format!("{scheme}:"));
    let authority = parts.authority.map(|authority| format!("//{authority}"));
    let query = parts.query.map(|query| format!("?{query}"));
    [scheme, authority, Some(path.to_owned()), query].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Canonical XML 1.1, section 2.4 and appendix A: what becomes of dots.
    #[test]
    fn dots_are_taken_away_but_not_leading_ones() {
        for (path, expected) in [
            ("out/.././/in/file", "in/file"),
            ("in/out//..//.///file", "in/file"),
            ("out/../in/out/..", "in/"),
            ("../../out/../..", "../../../"),
            ("out/..", ""),
            ("/a/b/./../../c", "/c"),
            ("..a/..b/../...c", "..a/...c"),
            ("out/../../", "../"),
            ("..", "../"),
            ("./.", ""),
            ("/..//..", "/"),
            ("//out/..", "/"),
            ("", ""),
        ] {
            assert_eq!(without_dots(path), expected, "{path}");
        }
    }

    /// Section 2.4 with RFC 3986, section 5.2.2, in values of our own.
    #[test]
    fn a_base_and_a_reference_become_one_value() {
        for (base, reference, expected) in [
            ("abc/", "../", ""),
            ("../", "../", "../../"),
            ("..", "..", "../../"),
            ("..", "x", "../x"),
            ("a/b", "c", "a/c"),
            ("a/b/", "/c", "/c"),
            ("a/b?q", "", "a/b?q"),
            ("a/b?q", "?r#s", "a/b?r"),
            ("a/b?q", "c?r", "a/c?r"),
            ("a/", "b#part", "a/b"),
            ("http://example.org", "a", "http://example.org/a"),
            ("http://example.org/a/b/c", "../d", "http://example.org/a/d"),
            ("http://example.org/a/b", "../../../d", "http://example.org/d"),
            ("http://example.org/a", "//example.net/./b", "http://example.net/b"),
            ("http://example.org/a", "urn:x", "urn:x"),
            ("a/b", "c:d/../e", "c:e"),
            ("a", "./b:c", "b:c"),
        ] {
            assert_eq!(join(base, reference), expected, "{base} with {reference}");
        }
    }
}
