//! Reads messages: from elements to meaning.
//!
//! Order and number of elements are as in the schema. What real VTNs send otherwise is taken too: a bare message without
//! envelope, the signature behind the signed object, no `schemaVersion`, empty optional elements (rule 46: the same as absent),
//! the text `None` where an optional id has no value, units with other texts than the fixed ones.

mod event;
mod interval;
mod opt;
mod party;
mod report;
mod target;
mod unit;

use crate::openadr::message::{
    EiResponse, Payload, PayloadKind, Poll, RequestId, Response, ResponseCode, VenId, VtnId,
};

use super::cursor::{Children, Element};
use super::error::XmlError;
use super::limits::Limits;
use super::names::Ns;
use super::tree::Document;

/// The parts of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'d> {
    /// `ds:Signature`, where there is one.
    pub(crate) signature: Option<Element<'d>>,
    /// `oadr:oadrSignedObject`; absent where the message stands bare.
    pub(crate) signed_object: Option<Element<'d>>,
    /// The message itself.
    pub(crate) message: Element<'d>,
}

/// Opens the envelope of a document.
///
/// # Errors
///
/// Where it is neither `oadrPayload` nor a message.
pub(crate) fn envelope<'d>(document: &'d Document<'d>) -> Result<Envelope<'d>, XmlError> {
    let root = Element::root(document);
    if !root.is(Ns::Oadr, "oadrPayload") {
        return match PayloadKind::from_element(root.name().1) {
            Some(_) if root.name().0 == Some(Ns::Oadr) => {
                Ok(Envelope { signature: None, signed_object: None, message: root })
            }
            _ => Err(root.unexpected("oadr:oadrPayload", root.name().1)),
        };
    }
    let mut children = root.children()?;
    let before = children.optional(Ns::Ds, "Signature");
    let object = children.expect(Ns::Oadr, "oadrSignedObject")?;
    let after = if before.is_none() { children.optional(Ns::Ds, "Signature") } else { None };
    children.end()?;
    Ok(Envelope { signature: before.or(after), signed_object: Some(object), message: content(object)? })
}

/// The one message inside an `oadrSignedObject`.
///
/// # Errors
///
/// Where there is none, or more than one.
fn content(object: Element<'_>) -> Result<Element<'_>, XmlError> {
    let mut children = object.children()?;
    let message = children.next_if(|_| true).ok_or_else(|| object.unexpected("a message", "nothing"))?;
    children.end()?;
    Ok(message)
}

/// Reads a document that is trusted without a signature.
///
/// # Errors
///
/// Where it is no document, or no message.
pub(crate) fn decode_document(bytes: &[u8], limits: &Limits) -> Result<Payload, XmlError> {
    decode(envelope(&Document::parse(bytes, limits)?)?.message)
}

/// Reads the message in a document whose root is the `oadrSignedObject` itself, as the canonical octets of a verified one are.
///
/// # Errors
///
/// Where it is no document, or no message.
pub(crate) fn decode_signed_object(bytes: &[u8], limits: &Limits) -> Result<Payload, XmlError> {
    let document = Document::parse(bytes, limits)?;
    let root = Element::root(&document);
    if !root.is(Ns::Oadr, "oadrSignedObject") {
        return Err(root.unexpected("oadr:oadrSignedObject", root.name().1));
    }
    decode(content(root)?)
}

/// Reads a message.
///
/// # Errors
///
/// Names the element, its place, and what is wrong with it.
pub(crate) fn decode(message: Element<'_>) -> Result<Payload, XmlError> {
    let (ns, name) = message.name();
    let Some(kind) = PayloadKind::from_element(name).filter(|_| ns == Some(Ns::Oadr)) else {
        return Err(message.unexpected("a message of openadr 2.0b", name));
    };
    let mut c = message.children()?;
    let payload = match kind {
        PayloadKind::DistributeEvent => event::distribute_event(&mut c)?.into(),
        PayloadKind::CreatedEvent => event::created_event(&mut c)?.into(),
        PayloadKind::RequestEvent => event::request_event(&mut c)?.into(),
        PayloadKind::Response => {
            Response { response: response(c.expect(Ns::Ei, "eiResponse")?)?, ven_id: ven_id(&mut c)? }.into()
        }
        PayloadKind::CancelOpt => opt::cancel_opt(&mut c)?.into(),
        PayloadKind::CanceledOpt => opt::canceled_opt(&mut c)?.into(),
        PayloadKind::CreateOpt => opt::create_opt(&mut c)?.into(),
        PayloadKind::CreatedOpt => opt::created_opt(&mut c)?.into(),
        PayloadKind::CancelReport => report::cancel_report(&mut c)?.into(),
        PayloadKind::CanceledReport => report::canceled_report(&mut c)?.into(),
        PayloadKind::CreateReport => report::create_report(&mut c)?.into(),
        PayloadKind::CreatedReport => report::created_report(&mut c)?.into(),
        PayloadKind::RegisterReport => report::register_report(&mut c)?.into(),
        PayloadKind::RegisteredReport => report::registered_report(&mut c)?.into(),
        PayloadKind::UpdateReport => report::update_report(&mut c)?.into(),
        PayloadKind::UpdatedReport => report::updated_report(&mut c)?.into(),
        PayloadKind::CancelPartyRegistration => party::cancel_party_registration(&mut c)?.into(),
        PayloadKind::CanceledPartyRegistration => party::canceled_party_registration(&mut c)?.into(),
        PayloadKind::CreatePartyRegistration => party::create_party_registration(&mut c)?.into(),
        PayloadKind::CreatedPartyRegistration => party::created_party_registration(&mut c)?.into(),
        PayloadKind::RequestReregistration => party::request_reregistration(&mut c)?.into(),
        PayloadKind::QueryRegistration => party::query_registration(&mut c)?.into(),
        PayloadKind::Poll => Poll { ven_id: id(c.expect(Ns::Ei, "venID")?)? }.into(),
    };
    c.end()?;
    Ok(payload)
}

/// `ei:eiResponse`.
fn response(element: Element<'_>) -> Result<EiResponse, XmlError> {
    let mut c = element.children()?;
    let code = response_code(&mut c)?;
    let description = optional_text(c.optional(Ns::Ei, "responseDescription"))?;
    // Some VTNs leave it out where the request had none.
    let request_id = c.optional(Ns::Pyld, "requestID").map(id).transpose()?;
    c.end()?;
    Ok(EiResponse { code, description, request_id: request_id.unwrap_or_else(|| "".into()) })
}

fn response_code(c: &mut Children<'_>) -> Result<ResponseCode, XmlError> {
    c.expect(Ns::Ei, "responseCode")?.lookup(ResponseCode::from_token)
}

fn request_id(c: &mut Children<'_>) -> Result<RequestId, XmlError> {
    id(c.expect(Ns::Pyld, "requestID")?)
}

/// The optional `ei:venID` that ends many messages.
fn ven_id(c: &mut Children<'_>) -> Result<Option<VenId>, XmlError> {
    optional_id(c.optional(Ns::Ei, "venID"))
}

/// `ei:vtnID`; some VTNs leave it out where they refuse.
fn vtn_id(c: &mut Children<'_>) -> Result<VtnId, XmlError> {
    Ok(c.optional(Ns::Ei, "vtnID").map(id).transpose()?.unwrap_or_else(|| "".into()))
}

/// An identifier: every byte counts.
fn id<T: From<String>>(element: Element<'_>) -> Result<T, XmlError> {
    Ok(T::from(element.text()?.into_owned()))
}

/// An identifier that may be absent, or empty, or the text `None` that some peers write for nothing.
fn optional_id<T: From<String>>(element: Option<Element<'_>>) -> Result<Option<T>, XmlError> {
    Ok(optional_text(element)?.filter(|text| text != "None").map(T::from))
}

fn text(element: Element<'_>) -> Result<String, XmlError> {
    Ok(element.text()?.into_owned())
}

/// A text that may be absent; an empty one is absent too (rule 46).
fn optional_text(element: Option<Element<'_>>) -> Result<Option<String>, XmlError> {
    Ok(element.map(text).transpose()?.filter(|text| !text.is_empty()))
}
