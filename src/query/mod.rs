//! Queries: how is what was shipped found again, and shown?
