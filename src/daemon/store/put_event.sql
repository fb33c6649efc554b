INSERT OR REPLACE INTO event (
    ven, event_id, modification, status, market_context, start, offset_us, response_required, request_id,
    opt, opt_modification, opt_by, refusal_code, refusal_why, started, stop_us, stop_why, ended, end_owed, xml
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
