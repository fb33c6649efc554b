//! Calls a plugin, whatever it does then: it may block, panic, and never come back.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::plugin::PluginError;

/// Calls a plugin on a thread of its own, where it may block and panic.
pub(super) async fn call<T: Send + 'static, F: Future<Output = Result<T, PluginError>>>(
    threads: &Handle,
    begin: impl FnOnce() -> F + Send + 'static,
) -> Result<T, String> {
    let inner = threads.clone();
    let call = threads.spawn_blocking(move || inner.block_on(begin()).map_err(|error| error.to_string()));
    call.await.unwrap_or_else(|error| {
        Err(if error.is_panic() { "it has panicked".to_owned() } else { error.to_string() })
    })
}

/// Calls it in the same way; where nobody waits for it any more, it is dropped where it waits.
pub(super) async fn call_while_wanted<T: Send + 'static, F: Future<Output = Result<T, PluginError>>>(
    threads: &Handle,
    begin: impl FnOnce() -> F + Send + 'static,
) -> Result<T, String> {
    let (waits, nobody_waits) = oneshot::channel::<()>();
    let done = call(threads, move || async move {
        tokio::select! {
            biased;
            _ = nobody_waits => Err("nobody waits for it any more".into()),
            done = begin() => done,
        }
    });
    let done = done.await;
    drop(waits);
    done
}
