//! Sees to what a plugin does of its own accord, and to how it is.

use crate::plugin::Health;

use super::super::program_seat::State;
use super::super::protocol::readable;
use super::super::restarts::{MOST, Restarts};
use super::Seat;
use super::call::{call, call_while_wanted};

impl Seat {
    /// Keeps it doing what it does of its own accord.
    pub(super) async fn keep_running(&self) {
        loop {
            let given_up = tokio::select! {
                biased;
                () = self.restart.notified() => continue,
                given_up = self.runs() => given_up,
            };
            if let Some(why) = &given_up {
                self.fails(why);
            }
            self.restart.notified().await;
            if given_up.is_some() {
                self.works();
            }
        }
    }

    /// Until it has nothing more to do, or has failed too often; why.
    async fn runs(&self) -> Option<String> {
        let mut restarts = Restarts::new(self.pace.first_pause);
        loop {
            let started = self.room.clock.now().since_start;
            let (plugin, context) = (self.plugin.clone(), self.context());
            let run = move || async move { plugin.run(context).await };
            let why = call_while_wanted(&self.threads, run).await.err()?;
            let Some(pause) = restarts.ended(started, self.room.clock.now().since_start) else {
                let often = format!("what it does of its own accord has failed {MOST} times within a minute");
                return Some(format!("{often} and is not begun any more; at last: {why}"));
            };
            tracing::warn!(plugin = self.name, "{why}; it is begun again in {pause}");
            tokio::time::sleep(pause.to_std()).await;
        }
    }

    /// Asks it how it is, and tells what has changed.
    pub(super) async fn watch(&self) {
        let mut before = Health::Well;
        loop {
            tokio::time::sleep(self.pace.health_every).await;
            let plugin = self.plugin.clone();
            let mut asked = Box::pin(call(&self.threads, move || async move { Ok(plugin.health()) }));
            let within = self.pace.health_within;
            let said = match tokio::time::timeout(within, &mut asked).await {
                Ok(said) => said,
                Err(_) => {
                    let why = format!("it does not say how it is within {within:?}");
                    self.note(&mut before, Health::Ill(why));
                    // It is asked no more before it has answered.
                    asked.await
                }
            };
            self.note(&mut before, said.unwrap_or_else(Health::Ill));
        }
    }

    fn note(&self, before: &mut Health, health: Health) {
        if health == *before {
            return;
        }
        match (&health, &*before) {
            (Health::Ill(why), _) => self.fails(&readable(why)),
            // It may have failed otherwise meanwhile, of which it knows nothing.
            (Health::Well, Health::Ill(why)) if self.is_stopped(&readable(why)) => self.works(),
            (Health::Well, Health::Ill(_) | Health::Well) => {}
        }
        *before = health;
    }

    fn is_stopped(&self, why: &str) -> bool {
        matches!(&*self.state.borrow(), State::Stopped(stopped) if stopped == why)
    }
}
