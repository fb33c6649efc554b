//! Shows what a sink would say, as far as that is known without secrets, and says it to nobody.

use crate::hook::settings::{HookSettings, HttpTarget, Target};

use super::{Message, file, http, mqtt, pvoutput, telegram};

/// What would go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Of a request: where it goes and its headers, line by line; secrets stand as they are configured. Others have none.
    pub(crate) head: Vec<String>,
    pub(crate) body: Vec<u8>,
}

/// What the sink of this hook would say.
///
/// # Errors
///
/// Why it would say nothing.
pub(crate) fn said(settings: &HookSettings, message: &Message) -> Result<Said, String> {
    let plain = |body: Vec<u8>| Said { head: Vec::new(), body };
    Ok(match &settings.target {
        Target::Http(target) => by_http(settings, target, message),
        Target::PvOutput(target) => pvoutput::said(target, message)?,
        Target::Mqtt(target) => plain(mqtt::said(target, message)),
        Target::File(_) => plain(file::line(message)),
        Target::Tcp(_) | Target::Serial(_) => plain(telegram::raw(message)),
        Target::Exec(_) => plain(message.body.clone()),
    })
}

fn by_http(settings: &HookSettings, target: &HttpTarget, message: &Message) -> Said {
    let mut head = vec![format!("{} {}", target.method, target.url)];
    head.extend(target.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    head.push(format!("content-type: {}", message.content_type));
    if !target.secrets.is_empty() {
        head.push(format!("webhook-id: {}", message.id));
        head.push(format!("webhook-timestamp: {}", message.at.seconds()));
        head.push("webhook-signature: by the secret".to_owned());
    }
    let body = if http::is_bodiless(settings, &target.method) { Vec::new() } else { message.body.clone() };
    Said { head, body }
}
