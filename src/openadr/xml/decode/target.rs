//! Reads targets.

use crate::openadr::message::{EiTarget, FeatureCollection, TransportInterface};

use super::super::cursor::{Children, Element};
use super::super::error::XmlError;
use super::super::names::Ns;
use super::{id, text};

/// Anything of `ei:EiTargetType`.
pub(super) fn target(element: Element<'_>) -> Result<EiTarget, XmlError> {
    let mut c = element.children()?;
    let target = EiTarget {
        aggregated_pnodes: wrapped(&mut c, "aggregatedPnode", "node")?,
        end_device_assets: wrapped(&mut c, "endDeviceAsset", "mrid")?,
        meter_assets: wrapped(&mut c, "meterAsset", "mrid")?,
        pnodes: wrapped(&mut c, "pnode", "node")?,
        service_areas: c.repeated(Ns::Emix, "serviceArea", area)?,
        service_delivery_points: wrapped(&mut c, "serviceDeliveryPoint", "node")?,
        service_locations: c.repeated(Ns::Power, "serviceLocation", area)?,
        transport_interfaces: c.repeated(Ns::Power, "transportInterface", |element| {
            let mut c = element.children()?;
            let point_of_receipt = text(c.expect(Ns::Power, "pointOfReceipt")?)?;
            let point_of_delivery = text(c.expect(Ns::Power, "pointOfDelivery")?)?;
            c.end()?;
            Ok(TransportInterface { point_of_receipt, point_of_delivery })
        })?,
        group_ids: c.repeated(Ns::Ei, "groupID", text)?,
        group_names: c.repeated(Ns::Ei, "groupName", text)?,
        resource_ids: c.repeated(Ns::Ei, "resourceID", id)?,
        ven_ids: c.repeated(Ns::Ei, "venID", id)?,
        party_ids: c.repeated(Ns::Ei, "partyID", text)?,
    };
    c.end()?;
    Ok(target)
}

/// A target that may be absent; an empty one is absent too (rule 46).
pub(super) fn optional_target(element: Option<Element<'_>>) -> Result<Option<EiTarget>, XmlError> {
    Ok(element.map(target).transpose()?.filter(|target| !target.is_empty()))
}

fn wrapped(c: &mut Children<'_>, outer: &str, inner: &str) -> Result<Vec<String>, XmlError> {
    c.repeated(Ns::Power, outer, |element| {
        let mut c = element.children()?;
        let name = text(c.expect(Ns::Power, inner)?)?;
        c.end()?;
        Ok(name)
    })
}

/// The polygon inside a service area or location.
fn area(element: Element<'_>) -> Result<FeatureCollection, XmlError> {
    let gml_id = |element: Element<'_>| element.attribute(Some(Ns::Gml), "id").map(str::to_owned);
    let mut c = element.children()?;
    let collection = c.expect(Ns::Gml, "FeatureCollection")?;
    c.end()?;
    let polygon = only_child(only_child(collection, "location")?, "Polygon")?;
    let list = only_child(only_child(only_child(polygon, "exterior")?, "LinearRing")?, "posList")?;
    let positions = list.token()?.into_owned();
    Ok(FeatureCollection { id: gml_id(collection), polygon_id: gml_id(polygon), positions })
}

fn only_child<'d>(element: Element<'d>, name: &str) -> Result<Element<'d>, XmlError> {
    let mut c = element.children()?;
    let child = c.expect(Ns::Gml, name)?;
    c.end()?;
    Ok(child)
}
