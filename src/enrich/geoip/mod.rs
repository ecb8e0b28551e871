//! `geoip`: place and network of an address, from a database in a file.
//!
//! The database has MaxMind's format (`.mmdb`) and the layout of GeoIP2 and GeoLite2: City, Country, Enterprise, ASN or
//! ISP; those of DB-IP have it too. inferlog brings none along and fetches none. What is added has the names of the
//! Elastic Common Schema, beside the address: of `client.ip`
//!
//! | database | adds |
//! | --- | --- |
//! | of places | `client.geo.`: `continent_code`, `country_iso_code`, `country_name`, `region_iso_code`, `region_name`, `city_name` (names in English), `location` (`{"lat":…,"lon":…}`, mapped as `geo_point`) |
//! | of networks | `client.as.`: `number`, `organization.name` |
//!
//! Of a member of the top level, such as `ip`, they are `geo.*` and `as.*`. A member that is there already stays. The
//! address is IPv4, IPv6, or IPv4 mapped into IPv6, and may have a port (`203.0.113.7:443`, `[2001:db8::1]:443`).
//! Nothing is added where there is none, or where the database does not know it;
//! `inferlog_enrich_unmatched_records_total` counts why: `missing`, `not_an_address`, `private_address`,
//! `not_in_database`, `unreadable_entry`.
//!
//! `location` is one field to Elasticsearch, for maps and distances. Conditions and the store also know `location.lat` and
//! `location.lon`; in Elasticsearch these find nothing.
//!
//! A place says much about a person. Where the address has to be hidden, put `geoip` before the rule that hides it: behind
//! it there is nothing to look up. Then the place stays in what is shipped; `check` says so, unless the rule hides that as
//! well. Take a database of countries where the country is enough.
//!
//! The file is looked at once a second, and read again when it has changed, as that of `lookup` is: one that is then gone,
//! cut off or broken leaves the one before in force, and is counted in `inferlog_enrich_table_reload_failures_total`. It
//! is held in memory as it is, two of them for the moment of a change. Renaming a new file into its place is best.
//!
//! ```yaml
//! - geoip: { field: client.ip, database: places.mmdb }
//! - geoip: { field: client.ip, database: networks.mmdb, when: "client.ip : *" }
//! ```
//!
//! - `field`: path, required: the address.
//! - `database`: path, from the folder of the pipeline file on, required: the file.
//! - `into`: path, by default `geo` and `as` beside the field: below it stands what is found.
//! - `file_bytes_max`: size, default `256MiB`, up to `1GiB`: a longer file is refused.
//! - `when`: condition: on which records.

mod database;

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

pub use database::Database;

use super::processor::{Processor, Run};
use super::table::Table;
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Room, json};
use crate::telemetry::Counter;
use database::Entry;

/// Adds what a database says of an address.
#[derive(Clone, Debug)]
pub struct Geoip {
    /// The database.
    pub table: Table<Database>,
    /// Where the address is.
    pub field: Path,
    /// Where what is found goes.
    pub into: GeoipMembers,
    /// Count the records of which nothing is found, in the order of [`Unmatched`].
    pub unmatched: [OnceLock<Counter>; 5],
}

/// The members that an entry of a database gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoipMembers {
    continent_code: Path,
    country_iso_code: Path,
    country_name: Path,
    region_iso_code: Path,
    region_name: Path,
    city_name: Path,
    location: Path,
    network_number: Path,
    organization_name: Path,
}

/// Why nothing is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unmatched {
    Missing,
    NotAnAddress,
    PrivateAddress,
    NotInDatabase,
    UnreadableEntry,
}

impl Unmatched {
    fn as_str(self) -> &'static str {
        match self {
            Unmatched::Missing => "missing",
            Unmatched::NotAnAddress => "not_an_address",
            Unmatched::PrivateAddress => "private_address",
            Unmatched::NotInDatabase => "not_in_database",
            Unmatched::UnreadableEntry => "unreadable_entry",
        }
    }
}

impl GeoipMembers {
    /// The members below two paths, which may be the same one.
    ///
    /// # Errors
    /// Says in words what is wrong with the paths.
    pub fn below(place: &str, network: &str) -> Result<GeoipMembers, String> {
        let of_place = |name: &str| Path::new(&format!("{place}.{name}"));
        let of_network = |name: &str| Path::new(&format!("{network}.{name}"));
        Ok(GeoipMembers {
            continent_code: of_place("continent_code")?,
            country_iso_code: of_place("country_iso_code")?,
            country_name: of_place("country_name")?,
            region_iso_code: of_place("region_iso_code")?,
            region_name: of_place("region_name")?,
            city_name: of_place("city_name")?,
            location: of_place("location")?,
            network_number: of_network("number")?,
            organization_name: of_network("organization.name")?,
        })
    }

    fn all(&self) -> [&Path; 9] {
        [
            &self.continent_code,
            &self.country_iso_code,
            &self.country_name,
            &self.region_iso_code,
            &self.region_name,
            &self.city_name,
            &self.location,
            &self.network_number,
            &self.organization_name,
        ]
    }
}

impl Processor for Geoip {
    fn name(&self) -> &'static str {
        "geoip"
    }

    fn adds(&self) -> Vec<Path> {
        self.into.all().map(Path::clone).to_vec()
    }

    fn derives(&self) -> Vec<(Path, Path)> {
        self.into.all().map(|member| (self.field.clone(), member.clone())).to_vec()
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        let raw = record.first(self.field.as_str()).filter(|raw| *raw != "null").ok_or(Unmatched::Missing);
        let address = raw.and_then(|raw| address(&json::text(raw)).ok_or(Unmatched::NotAnAddress));
        let database = self.table.content(self.name(), run.counters);
        match address.and_then(|address| find(&database, address)) {
            Ok(entry) => self.into.write(&entry, record, run),
            Err(why) => {
                let count = || run.counters.unmatched(self.name(), why.as_str());
                self.unmatched[why as usize].get_or_init(count).inc();
            }
        }
        Ok(())
    }
}

/// The address of a text, which may also name a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.parse().ok().or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))?;
    Some(address.to_canonical())
}

/// Who runs a private network may have a database of it: what is private is looked for all the same.
fn find(database: &Database, address: IpAddr) -> Result<Entry<'_>, Unmatched> {
    match database.find(address) {
        Ok(Some(entry)) => Ok(entry),
        Ok(None) if is_private(address) => Err(Unmatched::PrivateAddress),
        Ok(None) => Err(Unmatched::NotInDatabase),
        Err(_) => Err(Unmatched::UnreadableEntry),
    }
}

/// Whether an address has a meaning within one network only.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // 100.64.0.0/10 stands for the customers of a provider that have no address of their own (RFC 6598).
            let is_shared = matches!(v4.octets(), [100, 64..=127, ..]);
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

impl GeoipMembers {
    fn write(&self, entry: &Entry<'_>, record: &mut Record<'_>, run: &mut Run<'_>) {
        let mut add = |path: &Path, write: &dyn Fn(&mut String)| {
            if record.add(path, write) == Room::Blocked {
                run.counters.enrich_left_out_members_total.inc();
            }
        };
        let region = entry.country.iso_code.zip(entry.region.iso_code);
        for (path, text) in [
            (&self.continent_code, entry.continent.code),
            (&self.country_iso_code, entry.country.iso_code),
            (&self.country_name, entry.country.names.en),
            (&self.region_name, entry.region.names.en),
            (&self.city_name, entry.city.names.en),
            (&self.organization_name, entry.organization()),
        ] {
            let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
            add(path, &|out| json::write_string(text, out));
        }
        if let Some((country, region)) = region {
            add(&self.region_iso_code, &|out| {
                json::write_string(country, out);
                out.pop();
                out.push('-');
                let start = out.len();
                json::write_string(region, out);
                out.remove(start);
            });
        }
        if let Some((latitude, longitude)) = entry.location.degrees() {
            add(&self.location, &|out| {
                // Writing to a text cannot fail.
                let _ = write!(out, "{{\"lat\":{latitude},\"lon\":{longitude}}}");
            });
        }
        if let Some(number) = entry.network_number() {
            add(&self.network_number, &|out| {
                let _ = write!(out, "{number}");
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_a_port() {
        for (text, expected) in [
            ("203.0.113.7", Some("203.0.113.7")),
            (" 203.0.113.7:443 ", Some("203.0.113.7")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            ("[::ffff:203.0.113.7]:1", Some("203.0.113.7")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("203.0.113", None),
            ("203.0.113.7, 10.0.0.1", None),
            ("[redacted]", None),
            ("localhost", None),
            ("", None),
        ] {
            assert_eq!(address(text), expected.map(|address| address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn addresses_of_one_network_are_told_from_those_of_the_world() {
        for (text, expected) in [
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("192.168.0.1", true),
            ("127.0.0.1", true),
            ("169.254.1.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("0.0.0.0", true),
            ("8.8.8.8", false),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(text.parse().unwrap()), expected, "{text}");
        }
    }
}
