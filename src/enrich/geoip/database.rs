//! A database in MaxMind's format: what does it say of an address?

use std::net::IpAddr;

use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::enrich::table::Content;

/// What an IPv4-only database has as its version.
const IPV4_ONLY: u16 = 4;

/// A database that was read.
#[derive(Debug)]
pub struct Database(Reader<Vec<u8>>);

impl Content for Database {
    type Options = ();

    /// A file that is cut off has no end, where its description stands. One entry is looked at, so that a database with
    /// another layout is found here and not record by record.
    fn read(bytes: Vec<u8>, (): &()) -> Result<Database, String> {
        let reader = Reader::from_source(bytes)
            .map_err(|_| "this is no whole database in MaxMind's format (`.mmdb`)".to_owned())?;
        let mut entries = reader.networks(WithinOptions::default()).map_err(|error| words(&error))?;
        let first = entries.next().ok_or_else(|| "the database has no entries".to_owned())?;
        first.and_then(|found| found.decode::<Entry<'_>>()).map_err(|error| words(&error))?;
        Ok(Database(reader))
    }
}

fn words(error: &MaxMindDbError) -> String {
    let is_broken = matches!(error, MaxMindDbError::InvalidDatabase { .. });
    match is_broken {
        true => "the database is damaged".to_owned(),
        false => "its entries are not laid out as those of GeoIP2 and GeoLite2".to_owned(),
    }
}

impl Database {
    /// What stands there of an address, if anything.
    ///
    /// # Errors
    /// The entry cannot be read.
    pub(super) fn find(&self, address: IpAddr) -> Result<Option<Entry<'_>>, MaxMindDbError> {
        if address.is_ipv6() && self.0.metadata().ip_version == IPV4_ONLY {
            return Ok(None);
        }
        self.0.lookup(address)?.decode()
    }
}

/// An entry, as far as it is used; its texts are those of the database.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry<'d> {
    #[serde(borrow)]
    pub(super) continent: Part<'d>,
    #[serde(borrow)]
    pub(super) country: Part<'d>,
    /// The smallest part of the country that is known.
    #[serde(borrow, rename = "subdivisions", deserialize_with = "last")]
    pub(super) region: Part<'d>,
    #[serde(borrow)]
    pub(super) city: Part<'d>,
    pub(super) location: Location,
    #[serde(borrow)]
    traits: Network<'d>,
    autonomous_system_number: Option<u32>,
    #[serde(borrow)]
    autonomous_system_organization: Option<&'d str>,
}

/// A part of the world.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part<'d> {
    #[serde(borrow)]
    pub(super) code: Option<&'d str>,
    #[serde(borrow)]
    pub(super) iso_code: Option<&'d str>,
    #[serde(borrow)]
    pub(super) names: Names<'d>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Names<'d> {
    #[serde(borrow)]
    pub(super) en: Option<&'d str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Location {
    /// Latitude and longitude in degrees.
    pub(super) fn degrees(&self) -> Option<(f64, f64)> {
        let is_on_earth = |(latitude, longitude): &(f64, f64)| latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        self.latitude.zip(self.longitude).filter(is_on_earth)
    }
}

/// The network, where Enterprise databases have it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Network<'d> {
    autonomous_system_number: Option<u32>,
    #[serde(borrow)]
    autonomous_system_organization: Option<&'d str>,
}

impl<'d> Entry<'d> {
    /// The number of the network.
    pub(super) fn network_number(&self) -> Option<u32> {
        self.autonomous_system_number.or(self.traits.autonomous_system_number)
    }

    /// Who runs it.
    pub(super) fn organization(&self) -> Option<&'d str> {
        self.autonomous_system_organization.or(self.traits.autonomous_system_organization)
    }
}

/// The last element of a list, without a list of them.
fn last<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Part<'d>, D::Error> {
    struct Last;

    impl<'d> Visitor<'d> for Last {
        type Value = Part<'d>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a list of parts of a country")
        }

        fn visit_seq<S: SeqAccess<'d>>(self, mut elements: S) -> Result<Part<'d>, S::Error> {
            let mut last = Part::default();
            while let Some(element) = elements.next_element()? {
                last = element;
            }
            Ok(last)
        }
    }

    deserializer.deserialize_seq(Last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: &[u8] = include_bytes!("../../../tests/processors/places.mmdb");

    #[test]
    fn what_is_no_whole_database_is_said_and_never_read() {
        assert!(Database::read(PLACES.to_vec(), &()).is_ok());
        // Cut off anywhere, and with any stretch of it overwritten: refused, or read without a panic.
        for end in (0..PLACES.len()).step_by(7) {
            assert!(Database::read(PLACES[..end].to_vec(), &()).is_err(), "{end} of {} bytes", PLACES.len());
        }
        for start in (0..PLACES.len()).step_by(5) {
            for garbage in [0x00, 0x5a, 0xff] {
                let mut bytes = PLACES.to_vec();
                let end = (start + 9).min(bytes.len());
                bytes[start..end].fill(garbage);
                let Ok(database) = Database::read(bytes, &()) else { continue };
                for address in ["203.0.113.7", "2001:db8:1::1", "198.51.100.1", "8.8.8.8"] {
                    let _ = database.find(address.parse().unwrap());
                }
            }
        }
        for (bytes, expected) in [
            (&b"ip,country\n"[..], "this is no whole database in MaxMind's format (`.mmdb`)"),
            (b"", "this is no whole database in MaxMind's format (`.mmdb`)"),
        ] {
            assert_eq!(Database::read(bytes.to_vec(), &()).err().as_deref(), Some(expected));
        }
        let other = include_bytes!("../../../tests/processors/other-layout.mmdb").to_vec();
        let expected = "its entries are not laid out as those of GeoIP2 and GeoLite2";
        assert_eq!(Database::read(other, &()).err().as_deref(), Some(expected));
    }

    #[test]
    fn an_entry_is_read_without_an_allocation() {
        let database = Database::read(PLACES.to_vec(), &()).unwrap();
        let address = "203.0.113.7".parse().unwrap();
        let counted = allocation_counter::measure(|| assert!(database.find(address).unwrap().is_some()));
        assert_eq!(counted.count_total, 0);
    }
}
