//! Compares the URIs of programmes.

use super::MarketContext;

impl MarketContext {
    /// The same URI as RFC 3986 would write it, for comparing (rule 512): scheme and host in small letters, no default port, no dot
    /// segments, percent-encoding in capitals and only where it is needed, an empty path as `/`.
    #[must_use]
    pub fn normalised(&self) -> Self {
        let text = decode_unreserved(self.as_str());
        let Some((scheme, rest)) = text.split_once(':') else { return Self::from(text) };
        let scheme = scheme.to_ascii_lowercase();
        let Some(rest) = rest.strip_prefix("//") else { return Self::new(format!("{scheme}:{rest}")) };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (path, tail) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        let (authority, path) = (authority_of(&scheme, authority), without_dots(path));
        Self::new(format!("{scheme}://{authority}{path}{tail}"))
    }
}

/// Capitals in every percent-encoding; what needs none stands for itself.
fn decode_unreserved(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        normal.push_str(before);
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match (code, after.get(2..)) {
            (Some(code), Some(rest)) => {
                if code.is_ascii_alphanumeric() || b"-._~".contains(&code) {
                    normal.push(char::from(code));
                } else {
                    normal.push_str(&format!("%{code:02X}"));
                }
                rest
            }
            _ => {
                normal.push('%');
                after
            }
        };
    }
    normal.push_str(rest);
    normal
}

fn authority_of(scheme: &str, authority: &str) -> String {
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => ":",
    };
    let host =
        host.strip_suffix(default).or_else(|| host.strip_suffix(':')).unwrap_or(host).to_ascii_lowercase();
    if user.is_empty() { host } else { format!("{user}@{host}") }
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<_> = path.split('/').skip(1).collect();
    for segment in &segments {
        match *segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let folder = segments.last().is_none_or(|last| matches!(*last, "." | ".."));
    let slash = if folder && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use crate::openadr::message::MarketContext;

    #[test]
    fn rule_512_market_contexts_are_compared_as_uris() {
        for (one, other) in [
            ("HTTP://Markets.Example.ORG/dr", "http://markets.example.org/dr"),
            ("http://markets.example.org:80/dr", "http://markets.example.org/dr"),
            ("https://markets.example.org:443", "https://markets.example.org/"),
            ("http://markets.example.org/a/../b/./dr", "http://markets.example.org/b/dr"),
            ("http://markets.example.org/a/..", "http://markets.example.org/"),
            ("http://markets.example.org/b/.", "http://markets.example.org/b/"),
            ("http://markets.example.org/%7edr%2f", "http://markets.example.org/~dr%2F"),
            ("http://markets.example.org?q=1", "http://markets.example.org/?q=1"),
            ("OADR://unknown.context", "oadr://Unknown.Context/"),
            ("URN:example:dr", "urn:example:dr"),
            ("peak", "peak"),
        ] {
            let normal = |text: &str| MarketContext::from(text).normalised();
            assert_eq!(normal(one), normal(other), "{one}");
        }
        for (one, other) in [
            ("http://markets.example.org/dr", "http://markets.example.org/DR"),
            ("http://markets.example.org/dr", "http://markets.example.org/dr/"),
            ("http://markets.example.org:8080/dr", "http://markets.example.org/dr"),
            ("http://markets.example.org/%2F", "http://markets.example.org//"),
            ("urn:example:dr", "urn:example:DR"),
            ("http://a%", "http://a%4"),
        ] {
            let normal = |text: &str| MarketContext::from(text).normalised();
            assert_ne!(normal(one), normal(other), "{one}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_normal_stays_as_it_is(text in "[a-zA-Z:/?#@.%0-9é-]{0,40}") {
            let normal = MarketContext::from(text.as_str()).normalised();
            if !normal.as_str().contains('%') {
                proptest::prop_assert_eq!(normal.normalised(), normal);
            }
        }
    }
}
