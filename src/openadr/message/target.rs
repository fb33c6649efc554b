//! Says whom or what something is about.

use serde::Serialize;

use super::{ResourceId, VenId};

/// `ei:EiTargetType`, as in `ei:eiTarget`, `ei:reportSubject`, `ei:reportDataSource` and `oadr:oadrDeviceClass`.
///
/// All entries are alternatives (rules 22, 202, 302); none at all means the whole VEN.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EiTarget {
    /// `power:aggregatedPnode`, by its node.
    pub aggregated_pnodes: Vec<String>,
    /// `power:endDeviceAsset`, by its mrid: a device class (rule 111).
    pub end_device_assets: Vec<String>,
    /// `power:meterAsset`, by its mrid.
    pub meter_assets: Vec<String>,
    /// `power:pnode`, by its node.
    pub pnodes: Vec<String>,
    /// `emix:serviceArea`.
    pub service_areas: Vec<FeatureCollection>,
    /// `power:serviceDeliveryPoint`, by its node.
    pub service_delivery_points: Vec<String>,
    /// `power:serviceLocation`.
    pub service_locations: Vec<FeatureCollection>,
    /// `power:transportInterface`.
    pub transport_interfaces: Vec<TransportInterface>,
    /// `ei:groupID`.
    pub group_ids: Vec<String>,
    /// `ei:groupName`.
    pub group_names: Vec<String>,
    /// `ei:resourceID`.
    pub resource_ids: Vec<ResourceId>,
    /// `ei:venID`; at most one in an event (rule 63).
    pub ven_ids: Vec<VenId>,
    /// `ei:partyID`.
    pub party_ids: Vec<String>,
}

impl EiTarget {
    /// Whether it names nothing, which means the whole VEN.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The VEN itself.
    #[must_use]
    pub fn ven(ven_id: VenId) -> Self {
        Self { ven_ids: vec![ven_id], ..Self::default() }
    }

    /// One resource.
    #[must_use]
    pub fn resource(resource_id: ResourceId) -> Self {
        Self { resource_ids: vec![resource_id], ..Self::default() }
    }
}

/// `gml:FeatureCollection`: one polygon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FeatureCollection {
    /// `@gml:id` of the collection.
    pub id: Option<String>,
    /// `@gml:id` of the polygon.
    #[serde(rename = "polygonID")]
    pub polygon_id: Option<String>,
    /// `gml:posList`: doubles with blanks between, as they were written.
    pub positions: String,
}

/// `power:transportInterface`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransportInterface {
    /// `power:pointOfReceipt`.
    pub point_of_receipt: String,
    /// `power:pointOfDelivery`.
    pub point_of_delivery: String,
}
