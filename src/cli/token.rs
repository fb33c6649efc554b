//! `ven token new`: makes a token for the local API.

use std::io::Write as _;

use crate::config::Scope;
use crate::daemon::entropy;
use crate::daemon::http::{new_token, written};

/// Prints a token, and what is to stand in the configuration, where the token itself does not.
pub(super) fn new(name: &str, scopes: &[Scope]) -> anyhow::Result<()> {
    let token =
        new_token(&entropy::dice()).map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{token}")?;
    out.flush()?;
    // Whoever wants the token only, takes what goes to stdout.
    write!(std::io::stderr(), "{}", section(name, scopes, &token))?;
    Ok(())
}

fn section(name: &str, scopes: &[Scope], token: &str) -> String {
    let scopes: Vec<_> = scopes.iter().map(|scope| format!("{:?}", scope.to_string())).collect();
    format!(
        "\nkeep it, it is not shown again; what is to stand in the configuration:\n\n\
         [[http.token]]\nname = {name:?}\nhash = \"{}\"\nscopes = [{}]\n",
        written(token),
        scopes.join(", ")
    )
}

/// A scope as it is written.
pub(super) fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| format!("expected {}", Scope::FORMS))
}

#[cfg(test)]
mod tests {
    use super::{Scope, scope, section};

    #[test]
    fn what_is_printed_can_stand_in_the_configuration_and_the_token_does_not() {
        let scopes = [scope("read").unwrap(), scope("plugin:peak").unwrap()];
        let text = section("ops", &scopes, "ven_secret");
        let toml: toml::Table = toml::from_str(text.split("configuration:\n").nth(1).unwrap()).unwrap();
        let token = &toml["http"]["token"][0];
        assert_eq!(token["scopes"].as_array().unwrap().len(), 2);
        assert!(token["hash"].as_str().unwrap().starts_with("sha256:") && !text.contains("ven_secret"));
        assert!(scope("root").unwrap_err().contains("\"monitors\"") && scope("plugin:").is_err());
        assert_eq!((scope("meter"), scope("admin")), (Ok(Scope::Meter), Ok(Scope::Admin)));
    }
}
