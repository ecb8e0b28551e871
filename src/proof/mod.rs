//! Proof: is it all there?
//!
//! [`accounts`] say what a pipeline settled; [`reconcile`] holds every line of every file against the sinks, by the
//! files themselves or by accounts; [`completeness`] says beside an answer whether anything may be missing, by this
//! machine's state and by the accounts in the sink ([`accounted`]).

pub mod accounted;
pub mod accounts;
pub mod completeness;
pub mod reconcile;
