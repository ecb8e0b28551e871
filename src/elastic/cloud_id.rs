//! The cloud id: one word that a hosted cluster is copied by, in place of its address.
//!
//! ```text
//! NAME:base64(HOST[:PORT]$CLUSTER[:PORT]$KIBANA[:PORT])      is     https://CLUSTER.HOST:PORT
//! ```
//!
//! The name is for people. Without a port it is 443; that of the cluster comes before that of the host.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use url::Url;

const PORT: &str = "443";

/// The address of the cluster; else what is wrong.
pub fn cluster(id: &str) -> Result<Url, &'static str> {
    let encoded = id.rsplit_once(':').map_or(id, |(_, encoded)| encoded);
    let decoded = BASE64_STANDARD.decode(encoded).map_err(|_| "what stands behind its `:` is not base64")?;
    let decoded = String::from_utf8(decoded).map_err(|_| "it holds something else than text")?;
    let mut parts = decoded.split('$');
    let (Some(host), Some(cluster)) = (parts.next(), parts.next()) else { return Err("it names no cluster") };
    let (host, port) = host.split_once(':').unwrap_or((host, PORT));
    let (cluster, port) = cluster.split_once(':').unwrap_or((cluster, port));
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    if !is_name(host) || !is_name(cluster) {
        return Err("it names no cluster");
    }
    Url::parse(&format!("https://{cluster}.{host}:{port}")).map_err(|_| "it names no address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_an_address_or_wrong() {
        let table = [
            ("us-east-1.aws.found.io$abc123$def456", Ok("https://abc123.us-east-1.aws.found.io/")),
            ("found.io:9243$abc", Ok("https://abc.found.io:9243/")),
            ("found.io:9243$abc:9244$kb", Ok("https://abc.found.io:9244/")),
            ("found.io", Err("it names no cluster")),
            ("found.io$", Err("it names no cluster")),
            ("evil/x?$abc", Err("it names no cluster")),
            ("found.io:port$abc", Err("it names no address")),
        ];
        for (text, expected) in table {
            let id = format!("my:cluster:{}", BASE64_STANDARD.encode(text));
            assert_eq!(cluster(&id).as_ref().map(Url::as_str).map_err(|problem| *problem), expected, "{text}");
        }
        assert!(cluster("name:%%%").is_err() && cluster("").is_err());
    }
}
