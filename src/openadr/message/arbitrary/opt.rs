//! Makes the messages of `EiOpt`.

use super::*;

pub(super) fn create_opt() -> Any<CreateOpt> {
    let reason =
        prop_oneof![select(OptReason::ALL), extension().prop_map(|text| OptReason::Other(text.into()))];
    let available = (timestamp(), duration()).prop_map(|(start, duration)| Available { start, duration });
    let availability = vec(available, 0..3).prop_map(|available| Vavailability { available });
    let event = (id(), any::<u32>())
        .prop_map(|(event_id, modification_number)| QualifiedEventId { event_id, modification_number });
    let ids = (id(), id(), request_id());
    let opt = (select(OptType::ALL), reason, of(uri()), of(availability));
    (ids, opt, timestamp(), of(event), target(), some_target())
        .prop_map(|(ids, opt, created_date_time, qualified_event_id, target, device_class)| CreateOpt {
            opt_id: ids.0,
            opt_type: opt.0,
            opt_reason: opt.1,
            market_context: opt.2,
            ven_id: ids.1,
            availability: opt.3,
            created_date_time,
            request_id: ids.2,
            qualified_event_id,
            target,
            device_class,
        })
        .boxed()
}

pub(super) fn created_opt() -> Any<CreatedOpt> {
    (ei_response(), id()).prop_map(|(response, opt_id)| CreatedOpt { response, opt_id }).boxed()
}

pub(super) fn cancel_opt() -> Any<CancelOpt> {
    (request_id(), id(), id())
        .prop_map(|(request_id, opt_id, ven_id)| CancelOpt { request_id, opt_id, ven_id })
        .boxed()
}

pub(super) fn canceled_opt() -> Any<CanceledOpt> {
    (ei_response(), of(id())).prop_map(|(response, opt_id)| CanceledOpt { response, opt_id }).boxed()
}
