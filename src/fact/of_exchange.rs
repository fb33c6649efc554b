//! Tells of what goes over the wire between the VTN and us.

use serde_json::{Value, json};

use crate::openadr::message::{EiResponse, Payload, PayloadKind, Service};
use crate::time::{Span, Timestamp};

use super::Draft;
use super::topic::vtn;

/// A longer message is told without its text: a few of them would drive everything else out of memory.
const LONGEST: usize = 1 << 20;

/// A request and what came of it.
#[derive(Debug)]
pub(crate) struct Exchange<'e> {
    /// The VTN has asked, and not we.
    pub(crate) by_vtn: bool,
    pub(crate) service: Service,
    /// The request; `None`: it was not understood.
    pub(crate) message: Option<PayloadKind>,
    pub(crate) answer: Option<&'e Payload>,
    /// The status of HTTP; `None`: it has not come so far.
    pub(crate) http: Option<u16>,
    pub(crate) took: Span,
    /// Bytes of ours, and of the VTN's, without the headers.
    pub(crate) sent: usize,
    pub(crate) received: usize,
    /// What went wrong.
    pub(crate) why: Option<String>,
}

/// An exchange is over.
pub(crate) fn request(exchange: &Exchange<'_>, at: Timestamp) -> Draft {
    let Exchange { by_vtn, service, message, answer, http, took, sent, received, why } = exchange;
    let code = answer.and_then(verdict).map(|response| response.code.number());
    let data = [
        ("by", json!(if *by_vtn { "vtn" } else { "us" })),
        ("service", json!(service)),
        ("message", json!(message.map(PayloadKind::element))),
        ("answer", json!(answer.map(|answer| answer.kind().element()))),
        ("http", json!(http)),
        ("oadr_code", json!(code)),
        ("rtt_ms", millis(*took)),
        ("bytes_sent", json!(sent)),
        ("bytes", json!(received)),
        ("reason", json!(why)),
    ];
    Draft::new(&vtn::REQUEST, None, at, data)
}

/// A poll was answered; nothing at all is an answer too.
pub(crate) fn polled(answer: Option<PayloadKind>, took: Span, next_in: Option<Span>, at: Timestamp) -> Draft {
    // A poll is due somewhat later than the VTN has asked for, so that rounding down says what it asked for.
    let next = next_in.map(Span::seconds);
    let data = [
        ("answer", json!(answer.map(PayloadKind::element))),
        ("rtt_ms", millis(took)),
        ("next_seconds", json!(next)),
    ];
    Draft::new(&vtn::POLLED, None, at, data)
}

/// What is known of the signature of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// We have made it, or it was verified.
    Valid,
    /// There is none, and none is demanded.
    None,
    /// The message was not let in.
    Refused,
}

impl Signed {
    /// The word for it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::None => "none",
            Self::Refused => "refused",
        }
    }
}

/// A message as it went over the wire.
#[derive(Debug)]
pub(crate) struct Wired<'w> {
    pub(crate) received: bool,
    pub(crate) service: Service,
    /// `None`: it was not understood.
    pub(crate) kind: Option<PayloadKind>,
    pub(crate) bytes: &'w [u8],
    pub(crate) signed: Signed,
    /// Why it was not let in.
    pub(crate) why: Option<String>,
}

/// A message went over the wire.
pub(crate) fn message(message: &Wired<'_>, at: Timestamp) -> Draft {
    let Wired { received, service, kind, bytes, signed, why } = message;
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= LONGEST);
    let data = [
        ("direction", json!(if *received { "received" } else { "sent" })),
        ("service", json!(service)),
        ("name", json!(kind.map(PayloadKind::element))),
        ("xml", json!(text)),
        ("signature", json!(signed.as_str())),
        ("reason", json!(why)),
    ];
    Draft::new(&vtn::MESSAGE, None, at, data)
}

/// What an answer says of the request.
fn verdict(answer: &Payload) -> Option<&EiResponse> {
    match answer {
        Payload::DistributeEvent(answer) => answer.response.as_ref(),
        Payload::CreatedEvent(answer) => Some(&answer.response),
        Payload::Response(answer) => Some(&answer.response),
        Payload::CreatedOpt(answer) => Some(&answer.response),
        Payload::CanceledOpt(answer) => Some(&answer.response),
        Payload::CreatedReport(answer) => Some(&answer.response),
        Payload::CanceledReport(answer) => Some(&answer.response),
        Payload::RegisteredReport(answer) => Some(&answer.response),
        Payload::UpdatedReport(answer) => Some(&answer.response),
        Payload::CreatedPartyRegistration(answer) => Some(&answer.response),
        Payload::CanceledPartyRegistration(answer) => Some(&answer.response),
        Payload::RequestEvent(_)
        | Payload::CancelOpt(_)
        | Payload::CreateOpt(_)
        | Payload::CancelReport(_)
        | Payload::CreateReport(_)
        | Payload::RegisterReport(_)
        | Payload::UpdateReport(_)
        | Payload::CancelPartyRegistration(_)
        | Payload::CreatePartyRegistration(_)
        | Payload::RequestReregistration(_)
        | Payload::QueryRegistration(_)
        | Payload::Poll(_) => None,
    }
}

fn millis(span: Span) -> Value {
    json!(span.micros() / 1_000)
}

#[cfg(test)]
mod tests {
    use super::{Exchange, LONGEST, Signed, Wired, message, polled, request};
    use crate::fact::sample::misfits;
    use crate::openadr::message::{EiResponse, Payload, PayloadKind, Response, Service};
    use crate::time::{Span, Timestamp};

    fn at() -> Timestamp {
        Timestamp::from_seconds(1_900_000_000)
    }

    #[test]
    fn an_exchange_is_told_with_the_code_of_the_answer() {
        let answer = Payload::Response(Response { response: EiResponse::ok("r1".into()), ven_id: None });
        let mut exchange = Exchange {
            by_vtn: false,
            service: Service::EiEvent,
            message: Some(PayloadKind::CreatedEvent),
            answer: Some(&answer),
            http: Some(200),
            took: Span::from_millis(84),
            sent: 2048,
            received: 1024,
            why: None,
        };
        let draft = request(&exchange, at());
        assert_eq!(misfits(&draft), Vec::<String>::new());
        assert_eq!((draft.time, &draft.data["oadr_code"]), (at(), &200.into()));
        assert_eq!((&draft.data["by"], &draft.data["rtt_ms"]), (&"us".into(), &84.into()));
        (exchange.answer, exchange.http, exchange.why) = (None, None, Some("connection refused".to_owned()));
        let draft = request(&exchange, at());
        assert_eq!(misfits(&draft), Vec::<String>::new());
        assert_eq!(
            (&draft.data["oadr_code"], &draft.data["reason"]),
            (&().into(), &"connection refused".into())
        );
    }

    #[test]
    fn a_poll_is_told_with_what_it_brought_and_when_the_next_one_is_due() {
        let draft = polled(None, Span::from_millis(5), Some(Span::from_millis(10_900)), at());
        assert_eq!(misfits(&draft), Vec::<String>::new());
        assert_eq!((&draft.data["answer"], &draft.data["next_seconds"]), (&().into(), &10.into()));
    }

    #[test]
    fn a_message_is_told_as_it_was_on_the_wire_unless_it_is_huge_or_no_text() {
        let huge = vec![b' '; LONGEST + 1];
        for (bytes, xml) in [(&b"<a/>"[..], Some("<a/>")), (b"\xff", None), (&huge, None)] {
            let wired = Wired {
                received: true,
                service: Service::OadrPoll,
                kind: None,
                bytes,
                signed: Signed::Refused,
                why: Some("message is not signed".into()),
            };
            let draft = message(&wired, at());
            assert_eq!(misfits(&draft), Vec::<String>::new());
            assert_eq!(draft.data["xml"].as_str(), xml);
            assert_eq!(
                (&draft.data["direction"], &draft.data["signature"]),
                (&"received".into(), &"refused".into())
            );
        }
    }
}
