//! Writes the messages of `EiRegisterParty`.

use crate::openadr::message::{
    CancelPartyRegistration, CanceledPartyRegistration, CreatePartyRegistration, CreatedPartyRegistration,
    Info, Profile,
};

use super::super::names::Ns;
use super::super::writer::Writer;
use super::{interval, response};

pub(super) fn create_party_registration(w: &mut Writer, m: &CreatePartyRegistration) {
    w.value(Ns::Pyld, "requestID", &m.request_id);
    w.optional(Ns::Ei, "registrationID", m.registration_id.as_ref());
    w.optional(Ns::Ei, "venID", m.ven_id.as_ref());
    w.value(Ns::Oadr, "oadrProfileName", m.profile_name);
    w.value(Ns::Oadr, "oadrTransportName", m.transport_name);
    w.optional(Ns::Oadr, "oadrTransportAddress", m.transport_address.as_ref());
    w.value(Ns::Oadr, "oadrReportOnly", m.report_only);
    w.value(Ns::Oadr, "oadrXmlSignature", m.xml_signature);
    w.optional(Ns::Oadr, "oadrVenName", m.ven_name.as_ref());
    w.optional(Ns::Oadr, "oadrHttpPullModel", m.http_pull_model);
}

pub(super) fn created_party_registration(w: &mut Writer, m: &CreatedPartyRegistration) {
    response(w, &m.response);
    w.optional(Ns::Ei, "registrationID", m.registration_id.as_ref());
    w.optional(Ns::Ei, "venID", m.ven_id.as_ref());
    w.value(Ns::Ei, "vtnID", &m.vtn_id);
    w.element(Ns::Oadr, "oadrProfiles", |w| m.profiles.iter().for_each(|p| profile(w, p)));
    interval::optional_duration(w, Ns::Oadr, "oadrRequestedOadrPollFreq", m.requested_poll_freq);
    if !m.service_specific_info.is_empty() {
        w.element(Ns::Oadr, "oadrServiceSpecificInfo", |w| {
            for service in &m.service_specific_info {
                w.element(Ns::Oadr, "oadrService", |w| {
                    w.value(Ns::Oadr, "oadrServiceName", service.service);
                    infos(w, &service.info);
                });
            }
        });
    }
    if !m.extensions.is_empty() {
        w.element(Ns::Oadr, "oadrExtensions", |w| {
            for extension in &m.extensions {
                w.element(Ns::Oadr, "oadrExtension", |w| {
                    w.text(Ns::Oadr, "oadrExtensionName", &extension.name);
                    infos(w, &extension.info);
                });
            }
        });
    }
}

fn profile(w: &mut Writer, profile: &Profile) {
    w.element(Ns::Oadr, "oadrProfile", |w| {
        w.value(Ns::Oadr, "oadrProfileName", profile.name);
        w.element(Ns::Oadr, "oadrTransports", |w| {
            for transport in &profile.transports {
                w.element(Ns::Oadr, "oadrTransport", |w| w.value(Ns::Oadr, "oadrTransportName", transport));
            }
        });
    });
}

fn infos(w: &mut Writer, infos: &[Info]) {
    for info in infos {
        w.element(Ns::Oadr, "oadrInfo", |w| {
            w.text(Ns::Oadr, "oadrKey", &info.key);
            w.text(Ns::Oadr, "oadrValue", &info.value);
        });
    }
}

pub(super) fn cancel_party_registration(w: &mut Writer, m: &CancelPartyRegistration) {
    w.value(Ns::Pyld, "requestID", &m.request_id);
    w.value(Ns::Ei, "registrationID", &m.registration_id);
    w.optional(Ns::Ei, "venID", m.ven_id.as_ref());
}

pub(super) fn canceled_party_registration(w: &mut Writer, m: &CanceledPartyRegistration) {
    response(w, &m.response);
    w.optional(Ns::Ei, "registrationID", m.registration_id.as_ref());
    w.optional(Ns::Ei, "venID", m.ven_id.as_ref());
}
