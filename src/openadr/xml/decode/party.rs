//! Reads the messages of `EiRegisterParty`.

use crate::openadr::message::{
    CancelPartyRegistration, CanceledPartyRegistration, CreatePartyRegistration, CreatedPartyRegistration,
    Extension, Info, Profile, ProfileName, QueryRegistration, RequestReregistration, Service, ServiceInfo,
    TransportName,
};

use super::super::cursor::{Children, Element};
use super::super::error::XmlError;
use super::super::names::Ns;
use super::{id, interval, optional_id, optional_text, request_id, response, text, ven_id, vtn_id};

pub(super) fn query_registration(c: &mut Children<'_>) -> Result<QueryRegistration, XmlError> {
    Ok(QueryRegistration { request_id: request_id(c)? })
}

pub(super) fn create_party_registration(c: &mut Children<'_>) -> Result<CreatePartyRegistration, XmlError> {
    Ok(CreatePartyRegistration {
        request_id: request_id(c)?,
        registration_id: optional_id(c.optional(Ns::Ei, "registrationID"))?,
        ven_id: ven_id(c)?,
        profile_name: c.expect(Ns::Oadr, "oadrProfileName")?.lookup(ProfileName::from_token)?,
        transport_name: c.expect(Ns::Oadr, "oadrTransportName")?.lookup(TransportName::from_token)?,
        transport_address: optional_id(c.optional(Ns::Oadr, "oadrTransportAddress"))?,
        report_only: c.expect(Ns::Oadr, "oadrReportOnly")?.boolean()?,
        xml_signature: c.expect(Ns::Oadr, "oadrXmlSignature")?.boolean()?,
        ven_name: optional_text(c.optional(Ns::Oadr, "oadrVenName"))?,
        http_pull_model: c.optional(Ns::Oadr, "oadrHttpPullModel").map(Element::boolean).transpose()?,
    })
}

pub(super) fn created_party_registration(c: &mut Children<'_>) -> Result<CreatedPartyRegistration, XmlError> {
    Ok(CreatedPartyRegistration {
        response: response(c.expect(Ns::Ei, "eiResponse")?)?,
        registration_id: optional_id(c.optional(Ns::Ei, "registrationID"))?,
        ven_id: ven_id(c)?,
        vtn_id: vtn_id(c)?,
        // Some VTNs leave both out where they refuse.
        profiles: match c.optional(Ns::Oadr, "oadrProfiles") {
            Some(list) => profiles(list)?,
            None => Vec::new(),
        },
        requested_poll_freq: interval::optional_duration(c.optional(Ns::Oadr, "oadrRequestedOadrPollFreq"))?,
        service_specific_info: match c.optional(Ns::Oadr, "oadrServiceSpecificInfo") {
            Some(info) => services(info)?,
            None => Vec::new(),
        },
        extensions: match c.optional(Ns::Oadr, "oadrExtensions") {
            Some(info) => extensions(info)?,
            None => Vec::new(),
        },
    })
}

fn profiles(element: Element<'_>) -> Result<Vec<Profile>, XmlError> {
    let mut c = element.children()?;
    let profiles = c.at_least_one(Ns::Oadr, "oadrProfile", |profile| {
        let mut c = profile.children()?;
        let name = c.expect(Ns::Oadr, "oadrProfileName")?.lookup(ProfileName::from_token)?;
        let mut inner = c.expect(Ns::Oadr, "oadrTransports")?.children()?;
        let transports = inner.at_least_one(Ns::Oadr, "oadrTransport", |transport| {
            let mut c = transport.children()?;
            let name = c.expect(Ns::Oadr, "oadrTransportName")?.lookup(TransportName::from_token)?;
            c.end().map(|()| name)
        })?;
        inner.end()?;
        c.end()?;
        Ok(Profile { name, transports })
    })?;
    c.end()?;
    Ok(profiles)
}

fn services(element: Element<'_>) -> Result<Vec<ServiceInfo>, XmlError> {
    let mut c = element.children()?;
    let services = c.repeated(Ns::Oadr, "oadrService", |service| {
        let mut c = service.children()?;
        let service = c.expect(Ns::Oadr, "oadrServiceName")?.lookup(Service::from_token)?;
        let info = c.at_least_one(Ns::Oadr, "oadrInfo", info)?;
        c.end()?;
        Ok(ServiceInfo { service, info })
    })?;
    c.end()?;
    Ok(services)
}

fn extensions(element: Element<'_>) -> Result<Vec<Extension>, XmlError> {
    let mut c = element.children()?;
    let extensions = c.repeated(Ns::Oadr, "oadrExtension", |extension| {
        let mut c = extension.children()?;
        let name = text(c.expect(Ns::Oadr, "oadrExtensionName")?)?;
        let info = c.repeated(Ns::Oadr, "oadrInfo", info)?;
        c.end()?;
        Ok(Extension { name, info })
    })?;
    c.end()?;
    Ok(extensions)
}

fn info(element: Element<'_>) -> Result<Info, XmlError> {
    let mut c = element.children()?;
    let info =
        Info { key: text(c.expect(Ns::Oadr, "oadrKey")?)?, value: text(c.expect(Ns::Oadr, "oadrValue")?)? };
    c.end()?;
    Ok(info)
}

pub(super) fn cancel_party_registration(c: &mut Children<'_>) -> Result<CancelPartyRegistration, XmlError> {
    Ok(CancelPartyRegistration {
        request_id: request_id(c)?,
        registration_id: id(c.expect(Ns::Ei, "registrationID")?)?,
        ven_id: ven_id(c)?,
    })
}

pub(super) fn canceled_party_registration(
    c: &mut Children<'_>,
) -> Result<CanceledPartyRegistration, XmlError> {
    Ok(CanceledPartyRegistration {
        response: response(c.expect(Ns::Ei, "eiResponse")?)?,
        registration_id: optional_id(c.optional(Ns::Ei, "registrationID"))?,
        ven_id: ven_id(c)?,
    })
}

pub(super) fn request_reregistration(c: &mut Children<'_>) -> Result<RequestReregistration, XmlError> {
    // Whoever does not know us need not know our id.
    Ok(RequestReregistration { ven_id: ven_id(c)?.unwrap_or_else(|| "".into()) })
}
