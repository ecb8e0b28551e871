//! State: what lies on disk for a pipeline, and how does it survive a crash?

pub mod admin_token;
pub mod checkpoint;
pub mod folder;
pub mod lock;
pub mod pipeline_file;
pub mod whole;
