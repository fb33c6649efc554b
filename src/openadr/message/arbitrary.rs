//! Makes any message there can be, for tests.

mod opt;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use super::*;
use crate::time::{Span, Timestamp};

type Any<T> = proptest::strategy::BoxedStrategy<T>;

/// Text that XML can hold, with everything that has to be escaped.
fn text() -> Any<String> {
    "[a-zA-Z0-9 <>&\"'\r\n\t\u{e4}\u{20ac}\u{1F50C}]{0,12}".boxed()
}

/// Text that is there, and is not taken for absent.
fn some_text() -> Any<String> {
    "[ -~\u{e4}\u{1F50C}]{1,12}".prop_filter("the text None counts as absent", |text| text != "None").boxed()
}

fn id<T: From<String> + std::fmt::Debug + 'static>() -> Any<T> {
    some_text().prop_map(T::from).boxed()
}

fn request_id() -> Any<RequestId> {
    text().prop_map(RequestId::from).boxed()
}

fn uri() -> Any<MarketContext> {
    "http://[a-z]{1,8}\\.example\\.org/([a-zA-Z0-9&=?;/._-]|%[0-9A-F]{2}){0,12}"
        .prop_map(MarketContext::from)
        .boxed()
}

fn extension() -> Any<String> {
    "x-[a-zA-Z0-9]{1,8}".boxed()
}

pub(crate) fn timestamp() -> Any<Timestamp> {
    // Year 1970 to 9999.
    (0..253_402_300_799_999_999_i64).prop_map(Timestamp::from_micros).boxed()
}

pub(crate) fn duration() -> Any<Duration> {
    let plain = (0..10_000_000_i64).prop_map(Duration::from_seconds);
    let calendar =
        (0..50_u32, 0..20_u32, 0..40_u32).prop_map(|(y, m, d)| format!("P{y}Y{m}M{d}D").parse().unwrap());
    prop_oneof![plain, calendar].boxed()
}

fn signed_duration() -> Any<Duration> {
    prop_oneof![duration(), (0..10_000_i64).prop_map(|s| Duration::from_span(Span::from_seconds(-s)))].boxed()
}

pub(crate) fn float() -> Any<Float> {
    let exact =
        (any::<i64>(), 0..9_u32).prop_map(|(mantissa, scale)| Float::Exact(Decimal::new(mantissa, scale)));
    prop_oneof![8 => exact, 1 => Just(Float::Binary(f32::INFINITY)), 1 => Just("1e35".parse().unwrap())]
        .boxed()
}

fn response_code() -> Any<ResponseCode> {
    (0..1000_u16).prop_map(|code| ResponseCode::new(code).unwrap()).boxed()
}

fn ei_response() -> Any<EiResponse> {
    (response_code(), of(some_text()), request_id())
        .prop_map(|(code, description, request_id)| EiResponse { code, description, request_id })
        .boxed()
}

fn area() -> Any<FeatureCollection> {
    let id = || of("[a-z][a-z0-9]{0,8}");
    (id(), id(), vec(-90.0..90.0_f64, 2..8))
        .prop_map(|(id, polygon_id, positions)| FeatureCollection {
            // gml:id is unique in the document, which a generator of parts cannot promise.
            id: id.filter(|_| false),
            polygon_id: polygon_id.filter(|_| false),
            positions: positions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        })
        .boxed()
}

pub(crate) fn target() -> Any<EiTarget> {
    let texts = || vec(text(), 0..2);
    let nodes = (texts(), texts(), texts(), texts(), vec(area(), 0..2), texts(), vec(area(), 0..2));
    let interfaces = vec((text(), text()), 0..2);
    let ids = (texts(), texts(), vec(id(), 0..2), vec(id(), 0..2), texts());
    (nodes, interfaces, ids)
        .prop_map(|(nodes, interfaces, ids)| EiTarget {
            aggregated_pnodes: nodes.0,
            end_device_assets: nodes.1,
            meter_assets: nodes.2,
            pnodes: nodes.3,
            service_areas: nodes.4,
            service_delivery_points: nodes.5,
            service_locations: nodes.6,
            transport_interfaces: interfaces
                .into_iter()
                .map(|(point_of_receipt, point_of_delivery)| TransportInterface {
                    point_of_receipt,
                    point_of_delivery,
                })
                .collect(),
            group_ids: ids.0,
            group_names: ids.1,
            resource_ids: ids.2,
            ven_ids: ids.3,
            party_ids: ids.4,
        })
        .boxed()
}

fn some_target() -> Any<Option<EiTarget>> {
    of(target()).prop_map(|target| target.filter(|target| !target.is_empty())).boxed()
}

fn feed() -> Any<String> {
    Just("<atom:feed xmlns:atom=\"http://www.w3.org/2005/Atom\"></atom:feed>".to_owned()).boxed()
}

pub(crate) fn unit() -> Any<Unit> {
    let scale = || select(SiScale::ALL);
    let kind = || select(vec![PowerKind::Real, PowerKind::Apparent, PowerKind::Reactive]);
    let decimal = || (0..100_000_i64, 0..3_u32).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale));
    let attributes = (decimal(), decimal(), any::<bool>()).prop_map(|(hertz, voltage, ac)| PowerAttributes {
        hertz,
        voltage,
        ac,
    });
    let currency = (select(CurrencyPer::ALL), select(vec!["EUR", "USD", "GBP"]), scale());
    prop_oneof![
        (kind(), scale(), attributes).prop_map(|(kind, scale, a)| Unit::Power(kind, scale, a)),
        (kind(), scale()).prop_map(|(kind, scale)| Unit::Energy(kind, scale)),
        scale().prop_map(Unit::Voltage),
        scale().prop_map(Unit::Current),
        scale().prop_map(Unit::Frequency),
        scale().prop_map(Unit::Therm),
        (select(TemperatureUnit::ALL), scale()).prop_map(|(unit, scale)| Unit::Temperature(unit, scale)),
        currency.prop_map(|(per, code, scale)| Unit::Currency(per, code.into(), scale)),
        float().prop_map(Unit::PulseCount),
        (text(), text(), scale()).prop_map(|(description, units, scale)| Unit::Custom {
            description,
            units,
            scale
        }),
        feed().prop_map(Unit::GreenButton),
    ]
    .boxed()
}

fn load_control() -> Any<LoadControl> {
    (of(float()), of(float()), float(), of(float()))
        .prop_map(|(min, max, current, normal)| LoadControl { min, max, current, normal })
        .boxed()
}

fn payload_base() -> Any<PayloadBase> {
    let state = (of(load_control()), of(load_control()), of(load_control()), of(load_control())).prop_map(
        |(capacity, level_offset, percent_offset, set_point)| LoadControlState {
            capacity,
            level_offset,
            percent_offset,
            set_point,
        },
    );
    let status = (any::<bool>(), any::<bool>(), of(state)).prop_map(
        |(online, manual_override, load_control_state)| {
            PayloadBase::ResourceStatus(Box::new(ResourceStatus {
                online,
                manual_override,
                load_control_state,
            }))
        },
    );
    prop_oneof![float().prop_map(PayloadBase::Float), status].boxed()
}

fn data_quality() -> Any<DataQuality> {
    let listed = select(DataQuality::ALL);
    prop_oneof![listed, extension().prop_map(|text| DataQuality::Other(text.into()))].boxed()
}

fn stream_payload() -> Any<StreamPayload> {
    let report = (id(), of(0..=100_u32), of(float()), payload_base(), of(data_quality())).prop_map(
        |(r_id, confidence, accuracy, value, data_quality)| {
            StreamPayload::Report(ReportPayload { r_id, confidence, accuracy, value, data_quality })
        },
    );
    prop_oneof![
        payload_base().prop_map(StreamPayload::Signal),
        report,
        feed().prop_map(StreamPayload::GreenButton)
    ]
    .boxed()
}

fn intervals() -> Any<Vec<Interval>> {
    let interval = (of(timestamp()), of(duration()), of(text()), vec(stream_payload(), 1..3))
        .prop_map(|(start, duration, uid, payloads)| Interval { start, duration, uid, payloads });
    vec(interval, 1..4).boxed()
}

fn descriptor() -> Any<EventDescriptor> {
    let status = select(EventStatus::ALL);
    let changes = (any::<u32>(), of(timestamp()), of(some_text()), of(any::<u32>()));
    (id(), changes, uri(), timestamp(), status, of(some_text()), of(some_text()))
        .prop_map(
            |(event_id, changes, market_context, created_date_time, status, test_event, vtn_comment)| {
                EventDescriptor {
                    event_id,
                    modification_number: changes.0,
                    modification_date_time: changes.1,
                    modification_reason: changes.2,
                    priority: changes.3,
                    market_context,
                    created_date_time,
                    status,
                    test_event,
                    vtn_comment,
                }
            },
        )
        .boxed()
}

fn active_period() -> Any<ActivePeriod> {
    (timestamp(), duration(), of(duration()), of(duration()), of(signed_duration()), of(signed_duration()))
        .prop_map(|(start, duration, start_after, notification, ramp_up, recovery)| ActivePeriod {
            start,
            duration,
            start_after,
            notification,
            ramp_up,
            recovery,
        })
        .boxed()
}

fn signal() -> Any<EventSignal> {
    let name =
        prop_oneof![select(SignalName::ALL), extension().prop_map(|text| SignalName::Other(text.into()))];
    (intervals(), some_target(), name, select(SignalType::ALL), id(), of(unit()), of(float()))
        .prop_map(|(intervals, target, name, signal_type, signal_id, unit, current_value)| EventSignal {
            intervals,
            target,
            name,
            signal_type,
            signal_id,
            unit,
            current_value,
        })
        .boxed()
}

fn baseline() -> Any<EventBaseline> {
    (timestamp(), duration(), intervals(), text(), vec(id(), 0..3), text(), of(unit()))
        .prop_map(|(start, duration, intervals, baseline_id, resource_ids, baseline_name, unit)| {
            EventBaseline { start, duration, intervals, baseline_id, resource_ids, baseline_name, unit }
        })
        .boxed()
}

pub(crate) fn event() -> Any<OadrEvent> {
    let event = (descriptor(), active_period(), vec(signal(), 1..3), of(baseline()), target());
    (event, select(ResponseRequired::ALL))
        .prop_map(|((descriptor, active_period, signals, baseline, target), response_required)| OadrEvent {
            event: EiEvent { descriptor, active_period, signals, baseline, target },
            response_required,
        })
        .boxed()
}

fn event_response() -> Any<EventResponse> {
    (response_code(), of(some_text()), request_id(), id(), any::<u32>(), select(OptType::ALL))
        .prop_map(|(code, description, request_id, event_id, modification_number, opt_type)| EventResponse {
            code,
            description,
            request_id,
            event_id,
            modification_number,
            opt_type,
        })
        .boxed()
}

fn description() -> Any<ReportDescription> {
    let report_type =
        prop_oneof![select(ReportType::ALL), extension().prop_map(|text| ReportType::Other(text.into()))];
    let rate = (duration(), duration(), any::<bool>())
        .prop_map(|(min_period, max_period, on_change)| SamplingRate { min_period, max_period, on_change });
    (id(), some_target(), some_target(), report_type, of(unit()), reading_type(), of(uri()), of(rate))
        .prop_map(
            |(r_id, subject, data_source, report_type, unit, reading_type, market_context, sampling_rate)| {
                ReportDescription {
                    r_id,
                    subject,
                    data_source,
                    report_type,
                    unit,
                    reading_type,
                    market_context,
                    sampling_rate,
                }
            },
        )
        .boxed()
}

fn reading_type() -> Any<ReadingType> {
    prop_oneof![select(ReadingType::ALL), extension().prop_map(|text| ReadingType::Other(text.into()))]
        .boxed()
}

fn report() -> Any<Report> {
    let name =
        prop_oneof![select(ReportName::ALL), extension().prop_map(|text| ReportName::Other(text.into()))];
    let data = (of(timestamp()), of(duration()), of(intervals()));
    (data, of(some_text()), vec(description(), 0..3), id(), id(), of(name), timestamp())
        .prop_map(|(data, report_id, descriptions, request, specifier, report_name, created_date_time)| {
            Report {
                start: data.0,
                duration: data.1,
                intervals: data.2.unwrap_or_default(),
                report_id,
                descriptions,
                report_request_id: request,
                report_specifier_id: specifier,
                report_name,
                created_date_time,
            }
        })
        .boxed()
}

fn report_request() -> Any<ReportRequest> {
    let payload = (id(), of(unit()), reading_type())
        .prop_map(|(r_id, unit, reading_type)| SpecifierPayload { r_id, unit, reading_type });
    let span = (timestamp(), duration()).prop_map(|(start, duration)| ReportInterval { start, duration });
    (id(), id(), duration(), duration(), of(span), vec(payload, 1..3))
        .prop_map(|(report_request_id, report_specifier_id, granularity, back, report_interval, payloads)| {
            let specifier = ReportSpecifier {
                report_specifier_id,
                granularity,
                report_back_duration: back,
                report_interval,
                payloads,
            };
            ReportRequest { report_request_id, specifier }
        })
        .boxed()
}

fn cancel_report() -> Any<CancelReport> {
    (request_id(), vec(id(), 1..3), any::<bool>(), of(id()))
        .prop_map(|(request_id, report_request_ids, report_to_follow, ven_id)| CancelReport {
            request_id,
            report_request_ids,
            report_to_follow,
            ven_id,
        })
        .boxed()
}

fn infos(least: usize) -> Any<Vec<Info>> {
    vec((text(), text()).prop_map(|(key, value)| Info { key, value }), least..3).boxed()
}

fn created_party_registration() -> Any<CreatedPartyRegistration> {
    let profile = (select(ProfileName::ALL), vec(select(TransportName::ALL), 1..3))
        .prop_map(|(name, transports)| Profile { name, transports });
    let service = (select(Service::ALL), infos(1)).prop_map(|(service, info)| ServiceInfo { service, info });
    let extension = (text(), infos(0)).prop_map(|(name, info)| Extension { name, info });
    let ids = (of(id()), of(id()), id());
    (ei_response(), ids, vec(profile, 1..3), of(duration()), vec(service, 0..3), vec(extension, 0..3))
        .prop_map(|(response, ids, profiles, requested_poll_freq, service_specific_info, extensions)| {
            CreatedPartyRegistration {
                response,
                registration_id: ids.0,
                ven_id: ids.1,
                vtn_id: ids.2,
                profiles,
                requested_poll_freq,
                service_specific_info,
                extensions,
            }
        })
        .boxed()
}

fn create_party_registration() -> Any<CreatePartyRegistration> {
    let ids = (request_id(), of(id()), of(id()));
    let names = (select(ProfileName::ALL), select(TransportName::ALL), of(some_text()), of(some_text()));
    (ids, names, any::<bool>(), any::<bool>(), of(any::<bool>()))
        .prop_map(|(ids, names, report_only, xml_signature, http_pull_model)| CreatePartyRegistration {
            request_id: ids.0,
            registration_id: ids.1,
            ven_id: ids.2,
            profile_name: names.0,
            transport_name: names.1,
            transport_address: names.2,
            report_only,
            xml_signature,
            ven_name: names.3,
            http_pull_model,
        })
        .boxed()
}

/// Any message of this kind.
#[expect(clippy::too_many_lines, reason = "it is a list, a few lines for each message")]
pub(crate) fn payload_of(kind: PayloadKind) -> Any<Payload> {
    let ven = || of(id::<VenId>());
    let pending = || vec(id::<ReportRequestId>(), 0..3);
    match kind {
        PayloadKind::DistributeEvent => (of(ei_response()), request_id(), id(), vec(event(), 0..3))
            .prop_map(|(response, request_id, vtn_id, events)| {
                DistributeEvent { response, request_id, vtn_id, events }.into()
            })
            .boxed(),
        PayloadKind::CreatedEvent => (ei_response(), vec(event_response(), 0..3), id())
            .prop_map(|(response, event_responses, ven_id)| {
                CreatedEvent { response, event_responses, ven_id }.into()
            })
            .boxed(),
        PayloadKind::RequestEvent => (request_id(), id(), of(any::<u32>()))
            .prop_map(|(request_id, ven_id, reply_limit)| {
                RequestEvent { request_id, ven_id, reply_limit }.into()
            })
            .boxed(),
        PayloadKind::Response => {
            (ei_response(), ven()).prop_map(|(response, ven_id)| Response { response, ven_id }.into()).boxed()
        }
        PayloadKind::CancelOpt => opt::cancel_opt().prop_map(Payload::from).boxed(),
        PayloadKind::CanceledOpt => opt::canceled_opt().prop_map(Payload::from).boxed(),
        PayloadKind::CreateOpt => opt::create_opt().prop_map(Payload::from).boxed(),
        PayloadKind::CreatedOpt => opt::created_opt().prop_map(Payload::from).boxed(),
        PayloadKind::CancelReport => cancel_report().prop_map(Payload::from).boxed(),
        PayloadKind::CanceledReport => (ei_response(), pending(), ven())
            .prop_map(|(response, pending_reports, ven_id)| {
                CanceledReport { response, pending_reports, ven_id }.into()
            })
            .boxed(),
        PayloadKind::CreateReport => (request_id(), vec(report_request(), 1..3), ven())
            .prop_map(|(request_id, report_requests, ven_id)| {
                CreateReport { request_id, report_requests, ven_id }.into()
            })
            .boxed(),
        PayloadKind::CreatedReport => (ei_response(), pending(), ven())
            .prop_map(|(response, pending_reports, ven_id)| {
                CreatedReport { response, pending_reports, ven_id }.into()
            })
            .boxed(),
        PayloadKind::RegisterReport => (request_id(), vec(report(), 0..3), ven(), of(id()))
            .prop_map(|(request_id, reports, ven_id, report_request_id)| {
                RegisterReport { request_id, reports, ven_id, report_request_id }.into()
            })
            .boxed(),
        PayloadKind::RegisteredReport => (ei_response(), vec(report_request(), 0..3), ven())
            .prop_map(|(response, report_requests, ven_id)| {
                RegisteredReport { response, report_requests, ven_id }.into()
            })
            .boxed(),
        PayloadKind::UpdateReport => (request_id(), vec(report(), 0..3), ven())
            .prop_map(|(request_id, reports, ven_id)| UpdateReport { request_id, reports, ven_id }.into())
            .boxed(),
        PayloadKind::UpdatedReport => (ei_response(), of(cancel_report()), ven())
            .prop_map(|(response, cancel_report, ven_id)| {
                UpdatedReport { response, cancel_report, ven_id }.into()
            })
            .boxed(),
        PayloadKind::CancelPartyRegistration => (request_id(), id(), ven())
            .prop_map(|(request_id, registration_id, ven_id)| {
                CancelPartyRegistration { request_id, registration_id, ven_id }.into()
            })
            .boxed(),
        PayloadKind::CanceledPartyRegistration => (ei_response(), of(id()), ven())
            .prop_map(|(response, registration_id, ven_id)| {
                CanceledPartyRegistration { response, registration_id, ven_id }.into()
            })
            .boxed(),
        PayloadKind::CreatePartyRegistration => create_party_registration().prop_map(Payload::from).boxed(),
        PayloadKind::CreatedPartyRegistration => created_party_registration().prop_map(Payload::from).boxed(),
        PayloadKind::RequestReregistration => {
            id().prop_map(|ven_id| RequestReregistration { ven_id }.into()).boxed()
        }
        PayloadKind::QueryRegistration => {
            request_id().prop_map(|request_id| QueryRegistration { request_id }.into()).boxed()
        }
        PayloadKind::Poll => id().prop_map(|ven_id| Poll { ven_id }.into()).boxed(),
    }
}

/// Any message.
pub(crate) fn payload() -> Any<Payload> {
    select(PayloadKind::ALL).prop_flat_map(payload_of).boxed()
}
