//! Answers what people ask of monitors: the same as the local API, and with its rules.

use super::Readers;
use super::message::{MonitorsRequest, Response};
use crate::daemon::monitor::Monitors;
use crate::daemon::monitor::http::{list, view};
use crate::hook::monitor::MonitorSettings;

pub(super) async fn answer(request: MonitorsRequest, readers: &Readers) -> Response {
    let answer = match readers.monitors() {
        Ok(monitors) => obeyed(request, monitors).await,
        Err(why) => Err(why),
    };
    answer.unwrap_or_else(|why| Response::Error { why })
}

/// Who can open the socket may do everything to all of them.
async fn obeyed(request: MonitorsRequest, monitors: &Monitors) -> Result<Response, String> {
    let one = |record| Response::Monitors { monitors: vec![view(monitors, &record)] };
    let done = match request {
        MonitorsRequest::Look { topics } => {
            Ok(Response::Monitors { monitors: list(monitors, None, topics.as_deref()) })
        }
        MonitorsRequest::Show { id } => monitors.get(None, id).map(one),
        MonitorsRequest::Create { owner, options } => {
            let settings = MonitorSettings::read(&options).map_err(|faults| faults.join("; "))?;
            monitors.create(owner, settings).await.map(one)
        }
        MonitorsRequest::Delete { id } => monitors.delete(None, id).await.map(|()| Response::Ordered),
        MonitorsRequest::Where => {
            let at = monitors.pushed_at();
            let text = |address: std::net::SocketAddr| address.to_string();
            Ok(Response::Pushed { tcp: at.tcp.map(text), tls: at.tls.map(text) })
        }
    };
    done.map_err(|fault| fault.to_string())
}
