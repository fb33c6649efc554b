-- Deliveries are looked up by their fact too, when it is asked what may be forgotten.
CREATE INDEX delivery_seq ON delivery (ven, seq, status);
