"""Makes the small databases that the cases of `geoip` look into. They hold addresses of documentation only.

    pip install mmdb-writer==0.2.7 && python tests/processors/make-databases.py

They are committed, so that no test needs this.
"""

import pathlib

from mmdb_writer import MMDBWriter
from netaddr import IPSet

FOLDER = pathlib.Path(__file__).parent


def write(name, kind, entries, version=6):
    writer = MMDBWriter(ip_version=version, ipv4_compatible=version == 6, database_type=kind, languages=["en"], int_type="u32")
    for network, entry in entries:
        writer.insert_network(IPSet([network]), entry)
    writer.to_db_file(str(FOLDER / name))


def names(english, german=None):
    return {"en": english, "de": german or english}


MUNICH = {
    "continent": {"code": "EU", "names": names("Europe", "Europa")},
    "country": {"iso_code": "DE", "names": names("Germany", "Deutschland")},
    "subdivisions": [{"iso_code": "BY", "names": names("Bavaria", "Bayern")}],
    "city": {"names": names("Munich", "München")},
    "location": {"latitude": 48.1374, "longitude": 11.5755, "time_zone": "Europe/Berlin"},
}
OXFORD = {
    "continent": {"code": "EU", "names": names("Europe")},
    "country": {"iso_code": "GB", "names": names("United Kingdom")},
    "subdivisions": [
        {"iso_code": "ENG", "names": names("England")},
        {"iso_code": "OXF", "names": names("Oxfordshire")},
    ],
    "city": {"names": names("Oxford")},
    "location": {"latitude": 51.75, "longitude": -1.25},
    "traits": {"autonomous_system_number": 64496, "autonomous_system_organization": 'University "X"'},
}
SOMEWHERE = {"country": {"iso_code": "JP", "names": {"ja": "日本"}}}

write(
    "places.mmdb",
    "Example-City",
    [("203.0.113.0/24", MUNICH), ("2001:db8:1::/48", OXFORD), ("198.51.100.0/25", SOMEWHERE), ("10.7.0.0/16", OXFORD)],
)
write(
    "networks.mmdb",
    "Example-ASN",
    [("203.0.113.0/24", {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Net"})],
    version=4,
)
write("other-layout.mmdb", "Example-Other", [("203.0.113.0/24", {"country": "DE", "city": "Munich"})])
