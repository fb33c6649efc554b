//! A VEN that pushes monitors.

use std::path::PathBuf;

use super::{House, TOKEN};

/// `pump` may read monitors, and one is there always.
pub(crate) const MONITORS: &str = r#"
[http]
listen = "127.0.0.1:0"

[[http.token]]
name = "pump"
token = "${file:token}"
scopes = ["monitors"]

[[monitor]]
id = 7
owner = "pump"
topics = ["event.received"]

[push_monitor]
tcp = "127.0.0.1:0"
"#;

impl House {
    /// Writes a configuration with the sections of [`MONITORS`], in which `change` takes the place of some text, and the token of
    /// `pump`; returns the path of the configuration.
    pub(crate) fn configure_monitors(&self, url: &str, change: &[(&str, &str)]) -> PathBuf {
        self.write_secret("token", &format!("{TOKEN}\n"));
        let mut sections = MONITORS.to_owned();
        for (old, new) in change {
            assert!(sections.contains(old), "{old} does not stand in\n{sections}");
            sections = sections.replace(old, new);
        }
        self.configure(url, &sections)
    }
}
