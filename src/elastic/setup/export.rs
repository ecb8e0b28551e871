//! Exports: what would be installed, as files, for those whose cluster is managed by others.
//!
//! ```text
//! lifecycle_policies/NAME.json     the body of PUT _ilm/policy/NAME
//! component_templates/NAME.json    … PUT _component_template/NAME
//! index_templates/NAME.json        … PUT _index_template/NAME
//! install.sh                       the requests in their order, by curl
//! README.md                        what is what
//! ```
//!
//! Each file tells whether it is still as it was exported: the JSON by the digest in its `_meta`, the others by one in
//! their first lines. What somebody has changed, or made, is not written over.

use serde_json::Value;

use crate::elastic::assets::normal::{content_digest, normal_form};
use crate::elastic::assets::{Asset, AssetKind, MANAGED_BY};
use crate::text::digest::sha256_hexadecimal;

/// Stands before the digest of the rest of a text.
const MARK: &str = "made by `inferlog setup export`, digest ";

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportFile {
    /// Where it lies below the export's folder, with `/` between names.
    pub path: String,
    /// What is in it.
    pub content: String,
}

/// The files of these assets.
pub fn files(assets: &[Asset]) -> Vec<ExportFile> {
    let json = |asset: &Asset| ExportFile {
        path: path(asset),
        content: serde_json::to_string_pretty(&asset.body).unwrap_or_default() + "\n",
    };
    let script =
        ExportFile { path: "install.sh".to_owned(), content: marked("#!/bin/sh\n", "# ", "", &script(assets)) };
    let readme = ExportFile { path: "README.md".to_owned(), content: marked("", "<!-- ", " -->", &readme(assets)) };
    assets.iter().map(json).chain([script, readme]).collect()
}

/// Whether a file that is there was exported, and nobody has changed it since.
pub fn is_as_exported(path: &str, content: &str) -> bool {
    let kind = AssetKind::ALL.into_iter().find(|kind| path.starts_with(kind.folder()));
    match (kind, serde_json::from_str::<Value>(content)) {
        (Some(kind), Ok(body)) => {
            let described = kind.described(&body);
            let meta = &described["_meta"];
            meta["managed_by"] == MANAGED_BY && meta["digest"] == content_digest(&normal_form(described))
        }
        (Some(_), Err(_)) => false,
        (None, _) => has_right_mark(content),
    }
}

fn path(asset: &Asset) -> String {
    format!("{}/{}.json", asset.kind.folder(), asset.name)
}

/// A text behind a line with its digest.
fn marked(before: &str, open: &str, close: &str, text: &str) -> String {
    format!("{before}{open}{MARK}{}{close}\n{text}", short_digest(text))
}

fn has_right_mark(content: &str) -> bool {
    let behind = content.split_once(MARK).and_then(|(_, behind)| behind.split_once('\n'));
    behind.is_some_and(|(line, text)| line.starts_with(&short_digest(text)))
}

fn short_digest(text: &str) -> String {
    let mut digest = sha256_hexadecimal(text.as_bytes());
    digest.truncate(32);
    digest
}

fn script(assets: &[Asset]) -> String {
    let mut text = "\
# Installs what lies beside it, in this order. Options of curl are passed on:
#     ES_URL=https://es.example:9200 sh install.sh -H \"Authorization: ApiKey $KEY\"
set -eu
cd \"$(dirname \"$0\")\"
: \"${ES_URL:?the address of Elasticsearch}\"
put() {
    path=$1 file=$2
    shift 2
    echo \"$path\"
    curl -fsS \"$@\" -X PUT -H 'content-type: application/json' --data-binary \"@$file\" -o /dev/null \"$ES_URL/$path\"
}
"
    .to_owned();
    for asset in assets {
        text.push_str(&format!("put {}/{} {} \"$@\"\n", asset.kind.path(), asset.name, path(asset)));
    }
    text
}

fn readme(assets: &[Asset]) -> String {
    let mut text = "\
# What inferlog needs in Elasticsearch

Each file is the body of a request; `install.sh` sends them in this order. They are for a server that knows all that
Elasticsearch 8.19 knows. An older one, or OpenSearch, refuses what it does not know and names it: leave that out, or let
`inferlog setup apply` do it, which asks the server first.

"
    .to_owned();
    for asset in assets {
        text.push_str(&format!("- `PUT {}/{}` with `{}`\n", asset.kind.path(), asset.name, path(asset)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elastic::assets;
    use crate::elastic::capabilities::Capabilities;
    use crate::elastic::installation::Installation;
    use crate::elastic::target::Target;

    #[test]
    fn a_file_knows_whether_somebody_has_changed_it() {
        let target = Target::data_stream("logs-ml.inference-default").unwrap();
        let files = files(&assets::of(&Installation::new(&target), &Capabilities::all()));
        assert_eq!(files.len(), 13 + 2);
        for ExportFile { path, content } in &files {
            assert!(is_as_exported(path, content), "{path}");
            assert!(!is_as_exported(path, ""), "{path}");
            for (part, other) in
                [("inferlog-inference", "other"), ("30d", "31d"), ("keyword", "text"), ("false", "true")]
            {
                let changed = content.replace(part, other);
                assert!(changed == *content || !is_as_exported(path, &changed), "{path}: {part}");
            }
        }
    }

    #[test]
    fn the_script_installs_policies_first_and_index_templates_last() {
        let target = Target::data_stream("logs-fraud-prod").unwrap();
        let files = files(&assets::of(&Installation::new(&target), &Capabilities::all()));
        let script = &files.iter().find(|file| file.path == "install.sh").unwrap().content;
        let puts: Vec<&str> = script.lines().filter(|line| line.starts_with("put _")).collect();
        assert_eq!(puts.len(), 14);
        assert!(puts[0].starts_with("put _ilm/policy/inferlog-inference lifecycle_policies/"), "{}", puts[0]);
        assert!(puts[13].contains("index_templates/inferlog-stream-logs-fraud-prod.json"), "{}", puts[13]);
    }
}
