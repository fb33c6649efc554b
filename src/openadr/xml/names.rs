//! Knows the namespaces of the standard and the prefixes that we write.

/// A namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ns {
    /// Envelope, messages, registration, report extras.
    Oadr,
    /// Energy Interoperation: events, signals, ids, responses.
    Ei,
    /// Energy Interoperation payloads: requestID and its kin.
    Pyld,
    /// Market context, service area.
    Emix,
    /// Units of power; devices and nodes.
    Power,
    /// siScaleCode.
    Scale,
    /// iCalendar: dates and durations.
    Xcal,
    /// iCalendar streams: intervals.
    Strm,
    /// Polygons.
    Gml,
    /// XML Signature.
    Ds,
    /// ReplayProtect.
    Dsp,
    /// Green Button's carrier.
    Atom,
}

impl Ns {
    pub(crate) const ALL: [Self; 12] = [
        Self::Oadr,
        Self::Ei,
        Self::Pyld,
        Self::Emix,
        Self::Power,
        Self::Scale,
        Self::Xcal,
        Self::Strm,
        Self::Gml,
        Self::Ds,
        Self::Dsp,
        Self::Atom,
    ];

    pub(crate) const fn uri(self) -> &'static str {
        match self {
            Self::Oadr => "http://openadr.org/oadr-2.0b/2012/07",
            Self::Ei => "http://docs.oasis-open.org/ns/energyinterop/201110",
            Self::Pyld => "http://docs.oasis-open.org/ns/energyinterop/201110/payloads",
            Self::Emix => "http://docs.oasis-open.org/ns/emix/2011/06",
            Self::Power => "http://docs.oasis-open.org/ns/emix/2011/06/power",
            Self::Scale => "http://docs.oasis-open.org/ns/emix/2011/06/siscale",
            Self::Xcal => "urn:ietf:params:xml:ns:icalendar-2.0",
            Self::Strm => "urn:ietf:params:xml:ns:icalendar-2.0:stream",
            Self::Gml => "http://www.opengis.net/gml/3.2",
            Self::Ds => "http://www.w3.org/2000/09/xmldsig#",
            Self::Dsp => "http://openadr.org/oadr-2.0b/2012/07/xmldsig-properties",
            Self::Atom => "http://www.w3.org/2005/Atom",
        }
    }

    /// The prefix that we write; readers must not care.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Oadr => "oadr",
            Self::Ei => "ei",
            Self::Pyld => "pyld",
            Self::Emix => "emix",
            Self::Power => "power",
            Self::Scale => "scale",
            Self::Xcal => "xcal",
            Self::Strm => "strm",
            Self::Gml => "gml",
            Self::Ds => "ds",
            Self::Dsp => "dsp",
            Self::Atom => "atom",
        }
    }

    pub(crate) fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ns| ns.uri() == uri)
    }
}
