//! Where the page can be asked for records is said at the start, to a person with the token, elsewhere without it: what is
//! not a terminal may be a log.

use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::log;
use crate::server::{Records, Token};
use crate::state::folder::admin_token_file;

/// Says where records can be asked for.
pub(super) fn say(page: SocketAddr, records: &Records, data_dir: &Path) {
    let is_person = std::io::stderr().is_terminal() && !log::is_structured();
    super::say(&words(page, records.token(), data_dir, is_person));
}

fn words(address: SocketAddr, token: &Token, data_dir: &Path, is_person: bool) -> String {
    let page = page_at(address);
    match is_person {
        true => format!("ask for records: {}", token.address_of_page(&page)),
        false => {
            let file = admin_token_file(data_dir);
            format!("ask for records: {page} with the token in `{}`", file.display())
        }
    }
}

/// The page's address on this machine.
fn page_at(address: SocketAddr) -> String {
    let here = match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::from(Ipv6Addr::LOCALHOST),
        named => named,
    };
    format!("http://{}/", SocketAddr::new(here, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_person_at_a_terminal_is_told_the_token() {
        let token = Token::new("t0ken");
        for (address, is_person, expected) in [
            ("127.0.0.1:9614", true, "ask for records: http://127.0.0.1:9614/#token=t0ken"),
            ("0.0.0.0:80", true, "ask for records: http://127.0.0.1:80/#token=t0ken"),
            ("[::]:80", true, "ask for records: http://[::1]:80/#token=t0ken"),
            ("127.0.0.1:9614", false, "ask for records: http://127.0.0.1:9614/ with the token in `/state/admin.token`"),
        ] {
            assert_eq!(words(address.parse().unwrap(), &token, Path::new("/state"), is_person), expected);
        }
    }
}
