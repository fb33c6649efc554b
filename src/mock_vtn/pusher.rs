//! Posts to a VEN that is pushed to what others poll for, one message after the other.

use std::sync::Arc;
use std::time::Duration;

use crate::daemon::transport::tls::TlsClient;
use crate::daemon::transport::{PullClient, simple_root};
use crate::openadr::message::Payload;
use crate::openadr::xml::Limits;

use super::server::{Shared, lock};

/// The wait after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// Pushes for ever.
pub(super) async fn push(shared: Arc<Shared>, tls: TlsClient) {
    let mut client: Option<(String, PullClient)> = None;
    loop {
        let now = shared.clock.now().wall;
        let next = {
            let mut core = lock(&shared.core);
            core.next_push(now)
                .map(|message| (message, core.transport_address().unwrap_or_default().to_owned()))
        };
        let Some((message, address)) = next else {
            shared.news.notified().await;
            continue;
        };
        let known = client.take().filter(|(known, _)| *known == address);
        let outcome = match known.map_or_else(|| connect(&address, &tls), Ok) {
            Ok(connected) => {
                let (_, client) = client.insert(connected);
                deliver(&shared, client, &message).await
            }
            Err(why) => Err(why),
        };
        let failed = outcome.is_err();
        {
            let mut core = lock(&shared.core);
            match outcome {
                Ok(answer) => core.push_answered(shared.clock.now().wall, &message, answer),
                Err(why) => {
                    core.push_failures.push(format!("{}: {why}", message.kind()));
                    core.push_failed(message);
                }
            }
        }
        shared.served.notify_waiters();
        if failed {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn connect(address: &str, tls: &TlsClient) -> Result<(String, PullClient), String> {
    let root = simple_root(address).map_err(|error| error.to_string())?;
    Ok((address.to_owned(), PullClient::new(root, tls.clone(), Limits::VTN.bytes)))
}

async fn deliver(
    shared: &Shared,
    client: &mut PullClient,
    message: &Payload,
) -> Result<Option<Payload>, String> {
    let text = shared.document(message)?;
    let reply = client.post(message.kind().service(), text, shared.clock.now().wall).await;
    let Some(answer) = reply.map_err(|failure| failure.to_string())?.body else { return Ok(None) };
    let opened = lock(&shared.gate).open(&answer, shared.clock.now().wall);
    opened.map(|verified| Some(verified.into_content())).map_err(|why| why.to_string())
}
