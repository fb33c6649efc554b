//! Writes targets.

use crate::openadr::message::{EiTarget, FeatureCollection};

use super::super::names::Ns;
use super::super::writer::Writer;

/// Anything of `ei:EiTargetType`.
pub(super) fn target(w: &mut Writer, ns: Ns, name: &str, target: &EiTarget) {
    w.element(ns, name, |w| {
        wrapped(w, "aggregatedPnode", "node", &target.aggregated_pnodes);
        wrapped(w, "endDeviceAsset", "mrid", &target.end_device_assets);
        wrapped(w, "meterAsset", "mrid", &target.meter_assets);
        wrapped(w, "pnode", "node", &target.pnodes);
        areas(w, Ns::Emix, "serviceArea", &target.service_areas);
        wrapped(w, "serviceDeliveryPoint", "node", &target.service_delivery_points);
        areas(w, Ns::Power, "serviceLocation", &target.service_locations);
        for interface in &target.transport_interfaces {
            w.element(Ns::Power, "transportInterface", |w| {
                w.text(Ns::Power, "pointOfReceipt", &interface.point_of_receipt);
                w.text(Ns::Power, "pointOfDelivery", &interface.point_of_delivery);
            });
        }
        target.group_ids.iter().for_each(|id| w.text(Ns::Ei, "groupID", id));
        target.group_names.iter().for_each(|name| w.text(Ns::Ei, "groupName", name));
        target.resource_ids.iter().for_each(|id| w.value(Ns::Ei, "resourceID", id));
        target.ven_ids.iter().for_each(|id| w.value(Ns::Ei, "venID", id));
        target.party_ids.iter().for_each(|id| w.text(Ns::Ei, "partyID", id));
    });
}

fn wrapped(w: &mut Writer, outer: &str, inner: &str, names: &[String]) {
    for name in names {
        w.element(Ns::Power, outer, |w| w.text(Ns::Power, inner, name));
    }
}

fn areas(w: &mut Writer, ns: Ns, name: &str, areas: &[FeatureCollection]) {
    for area in areas {
        w.element(ns, name, |w| {
            gml_element(w, "FeatureCollection", area.id.as_deref(), |w| {
                w.element(Ns::Gml, "location", |w| {
                    gml_element(w, "Polygon", area.polygon_id.as_deref(), |w| {
                        w.element(Ns::Gml, "exterior", |w| {
                            w.element(Ns::Gml, "LinearRing", |w| w.text(Ns::Gml, "posList", &area.positions));
                        });
                    });
                });
            });
        });
    }
}

fn gml_element(w: &mut Writer, name: &str, id: Option<&str>, content: impl FnOnce(&mut Writer)) {
    let id: Vec<_> = id.into_iter().map(|id| (Some(Ns::Gml), "id", id)).collect();
    w.element_with(Ns::Gml, name, &id, content);
}
