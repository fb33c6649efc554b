//! Registration: subjects N0 and N1.

use crate::engine::tests::pair::Pair;
use crate::openadr::message::PayloadKind;
use crate::time::Span;

subject! {
    /// The whole bootstrap: registration, metadata, events.
    fn n1_0020_bootstrap, n0_5020_bootstrap(mode) {
        let mut pair = Pair::in_mode(mode);
        pair.run(Span::from_seconds(5));
        let kinds: Vec<_> = pair.vtn.received.iter().map(|(_, kind)| *kind).take(4).collect();
        let expected = [
            PayloadKind::QueryRegistration,
            PayloadKind::CreatePartyRegistration,
            PayloadKind::RegisterReport,
            PayloadKind::RequestEvent,
        ];
        assert_eq!(kinds, expected);
        pair.assert_lawful();
    }
}
