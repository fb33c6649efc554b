//! Tells an error with its causes.

use std::error::Error;

/// An error with everything that led to it: the outermost says only "client error".
pub(in crate::daemon) fn chain(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts.join(": ")
}
