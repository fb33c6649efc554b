//! Writes messages: from meaning to text that validates.

mod event;
mod interval;
mod opt;
mod party;
mod report;
mod target;
mod unit;

use std::collections::BTreeSet;

use crate::openadr::message::{EiResponse, Payload};

use super::names::Ns;
use super::writer::Writer;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// A message in writing, not yet in its envelope.
#[derive(Debug)]
pub(crate) struct SignedObject {
    message: String,
    used: BTreeSet<Ns>,
    foreign: bool,
}

impl SignedObject {
    /// The id by which a signature names the object.
    pub(crate) const ID: &'static str = "oadrSignedObject";

    /// The namespaces that the root declares.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = Ns> + '_ {
        self.used.iter().copied()
    }

    /// The message, where it is in canonical form as it stands: where nothing in it came from elsewhere.
    pub(crate) fn canonical(&self) -> Option<&str> {
        (!self.foreign).then_some(&self.message)
    }

    /// The document of a message that is not signed.
    pub(crate) fn unsigned(&self) -> String {
        self.enveloped("", "")
    }

    /// The document with the object's id and with this text as its first child.
    ///
    /// The declarations on the root depend on the message alone, so a digest of the object is the same whatever stands in
    /// `signature`.
    pub(crate) fn signed(&self, signature: &str) -> String {
        self.enveloped(signature, &format!(" oadr:Id=\"{}\"", Self::ID))
    }

    fn enveloped(&self, signature: &str, id: &str) -> String {
        let mut text = String::with_capacity(self.message.len() + signature.len() + 1024);
        text.push_str(DECLARATION);
        text.push_str("<oadr:oadrPayload");
        for ns in &self.used {
            text.push_str(&format!(" xmlns:{}=\"{}\"", ns.prefix(), ns.uri()));
        }
        for part in [">", signature, "<oadr:oadrSignedObject", id, ">", &self.message] {
            text.push_str(part);
        }
        text.push_str("</oadr:oadrSignedObject></oadr:oadrPayload>");
        text
    }
}

/// Writes a message.
pub(crate) fn encode(payload: &Payload) -> SignedObject {
    let mut writer = Writer::default();
    let version = [(Some(Ns::Ei), "schemaVersion", "2.0b")];
    writer.element_with(Ns::Oadr, payload.kind().element(), &version, |w| content(w, payload));
    let (message, mut used, foreign) = writer.finish();
    used.insert(Ns::Oadr);
    SignedObject { message, used, foreign }
}

fn content(w: &mut Writer, payload: &Payload) {
    match payload {
        Payload::DistributeEvent(m) => event::distribute_event(w, m),
        Payload::CreatedEvent(m) => event::created_event(w, m),
        Payload::RequestEvent(m) => event::request_event(w, m),
        Payload::Response(m) => {
            response(w, &m.response);
            w.optional(Ns::Ei, "venID", m.ven_id.as_ref());
        }
        Payload::CancelOpt(m) => opt::cancel_opt(w, m),
        Payload::CanceledOpt(m) => opt::canceled_opt(w, m),
        Payload::CreateOpt(m) => opt::create_opt(w, m),
        Payload::CreatedOpt(m) => opt::created_opt(w, m),
        Payload::CancelReport(m) => report::cancel_report(w, m),
        Payload::CanceledReport(m) => report::pending(w, &m.response, &m.pending_reports, m.ven_id.as_ref()),
        Payload::CreateReport(m) => report::create_report(w, m),
        Payload::CreatedReport(m) => report::pending(w, &m.response, &m.pending_reports, m.ven_id.as_ref()),
        Payload::RegisterReport(m) => report::register_report(w, m),
        Payload::RegisteredReport(m) => report::registered_report(w, m),
        Payload::UpdateReport(m) => report::update_report(w, m),
        Payload::UpdatedReport(m) => report::updated_report(w, m),
        Payload::CancelPartyRegistration(m) => party::cancel_party_registration(w, m),
        Payload::CanceledPartyRegistration(m) => party::canceled_party_registration(w, m),
        Payload::CreatePartyRegistration(m) => party::create_party_registration(w, m),
        Payload::CreatedPartyRegistration(m) => party::created_party_registration(w, m),
        Payload::RequestReregistration(m) => w.value(Ns::Ei, "venID", &m.ven_id),
        Payload::QueryRegistration(m) => w.value(Ns::Pyld, "requestID", &m.request_id),
        Payload::Poll(m) => w.value(Ns::Ei, "venID", &m.ven_id),
    }
}

/// `ei:eiResponse`.
fn response(w: &mut Writer, response: &EiResponse) {
    w.element(Ns::Ei, "eiResponse", |w| {
        w.value(Ns::Ei, "responseCode", response.code);
        w.optional(Ns::Ei, "responseDescription", response.description.as_ref());
        w.value(Ns::Pyld, "requestID", &response.request_id);
    });
}
