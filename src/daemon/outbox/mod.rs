//! Tells others what happened: one task for each hook, none of which ever waits for another.

mod hook_task;

pub(crate) use hook_task::{HookTask, Order, Parts, View};
