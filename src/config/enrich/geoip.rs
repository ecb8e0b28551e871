//! Options of `geoip`: which database says what of which address?

use super::lookup::{file_bytes_max, table};
use super::made;
use crate::config::field::Field;
use crate::config::section::Section;
use crate::enrich::{Action, Geoip, GeoipMembers, Step};
use crate::record::Path;

const FILE_BYTES_MAX: u64 = 256 << 20;

pub(super) fn geoip(section: &mut Section<'_>) -> Option<Step> {
    let field = section.required("field", Field::field_path);
    let into = section.optional("into", Field::field_path);
    let file_bytes_max = file_bytes_max(section, FILE_BYTES_MAX);
    let geoip = section.required("database", |file| {
        let table = table(file, file_bytes_max?, ())?;
        let field = field?;
        let [place, network] = ["geo", "as"].map(|name| match &into {
            Some(into) => into.as_str().to_owned(),
            None => beside(&field, name),
        });
        let into = GeoipMembers::below(&place, &network).ok()?;
        Some(Geoip { table, field, into, unmatched: Default::default() })
    });
    made(section, geoip.map(Action::Geoip))
}

/// The path of a member that stands beside another one.
pub(super) fn beside(path: &Path, name: &str) -> String {
    path.as_str().rsplit_once('.').map_or_else(|| name.to_owned(), |(parent, _)| format!("{parent}.{name}"))
}
