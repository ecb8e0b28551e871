//! Tenants: a data stream for each namespace, which a value of the record itself names.
//!
//! `logs-DATASET-NAMESPACE`, for a few namespaces that the pipeline file lists; what names another one, or none, goes to the
//! namespace `else`, and so does what inferlog writes itself. Which one it is is decided where the record is a record, and
//! travels beside the document as a number: 0 is `else`, then come the others in their order.

use crate::flow::batch::Namespace;
use crate::kql::{Fields, Value};
use crate::record::Path;

use super::names::{TargetError, check_name};

/// The most namespaces of a pipeline, beside `else`.
pub const NAMESPACES_MAX: usize = 100;

/// Longest name of a namespace or data set, in bytes, as the scheme of data streams has it.
const NAME_BYTES_MAX: usize = 100;

/// What a name must not hold, as Elasticsearch has it.
const FORBIDDEN: [char; 12] = ['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':'];

/// Which namespace a record goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRule {
    from: Path,
    /// `else`, then those that are allowed.
    names: Vec<String>,
    /// `else` is allowed to be named.
    allows_else: bool,
}

/// The data streams of all namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenants {
    dataset: String,
    rule: NamespaceRule,
    streams: Vec<String>,
}

impl NamespaceRule {
    /// A rule: the field that names the namespace, those that may be named, and the one for all else.
    ///
    /// # Errors
    /// When Elasticsearch would refuse one of the names.
    pub fn new(from: Path, allow: Vec<String>, otherwise: String) -> Result<NamespaceRule, TargetError> {
        let allows_else = allow.contains(&otherwise);
        let mut names = vec![otherwise];
        for name in allow {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.iter().try_for_each(|name| check(name, false))?;
        Ok(NamespaceRule { from, names, allows_else })
    }

    /// Decides on a document, as it will be shipped.
    pub fn decide(&self, document: &dyn Fields) -> Namespace {
        let mut decided = Namespace::Else("missing");
        document.any(self.from.as_str(), &mut |value| {
            let name: &str = match &value {
                Value::String(text) => text,
                Value::Number(digits) => digits,
                _ => return false,
            };
            decided = match self.names.iter().position(|known| known == name) {
                Some(0) if !self.allows_else => Namespace::Else("not_allowed"),
                Some(place) => Namespace::Named(place as u8),
                None => Namespace::Else("not_allowed"),
            };
            true
        });
        decided
    }

    /// The name of a namespace by its number.
    pub fn name(&self, number: u8) -> &str {
        self.names.get(usize::from(number)).map_or(&self.names[0], |name| name)
    }
}

impl Tenants {
    /// The data streams `logs-DATASET-NAMESPACE` of a rule.
    ///
    /// # Errors
    /// When Elasticsearch would refuse one of the names.
    pub fn new(dataset: &str, rule: NamespaceRule) -> Result<Tenants, TargetError> {
        check(dataset, true)?;
        let streams: Vec<String> = rule.names.iter().map(|name| format!("logs-{dataset}-{name}")).collect();
        streams.iter().try_for_each(|stream| check_name(stream))?;
        Ok(Tenants { dataset: dataset.to_owned(), rule, streams })
    }

    /// The rule.
    pub fn rule(&self) -> &NamespaceRule {
        &self.rule
    }

    /// All data streams; the first one is that of `else`.
    pub fn streams(&self) -> &[String] {
        &self.streams
    }

    /// The data stream of a namespace by its number.
    pub fn stream(&self, number: u8) -> &str {
        self.streams.get(usize::from(number)).map_or(&self.streams[0], |stream| stream)
    }

    /// The data streams of the data set, whatever their namespace.
    pub fn wildcard(&self) -> String {
        format!("logs-{}-*", self.dataset)
    }
}

fn check(name: &str, is_dataset: bool) -> Result<(), TargetError> {
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > NAME_BYTES_MAX {
        "it has more than 100 bytes"
    } else if name.contains(FORBIDDEN) || (is_dataset && name.contains('-')) {
        "it holds one of \\ / * ? \" < > | , # : or a space; a data set also must not hold `-`"
    } else if name.chars().any(|character| character.is_uppercase() || character.is_control()) {
        "it holds a capital letter or a control character"
    } else {
        return Ok(());
    };
    Err(TargetError::Name { name: name.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Record, Space};

    fn rule(allow: &[&str], otherwise: &str) -> Result<NamespaceRule, TargetError> {
        let from = Path::new("kubernetes.namespace").unwrap();
        NamespaceRule::new(from, allow.iter().map(|name| (*name).to_owned()).collect(), otherwise.to_owned())
    }

    #[test]
    fn a_value_of_the_record_names_the_namespace_if_it_is_allowed() {
        for (allow, document, expected) in [
            (&["a", "team-b"][..], r#"{"kubernetes":{"namespace":"team-b"}}"#, Namespace::Named(2)),
            (&["a", "team-b"], r#"{"kubernetes.namespace":"\u0061"}"#, Namespace::Named(1)),
            (&["7"], r#"{"kubernetes":{"namespace":7}}"#, Namespace::Named(1)),
            (&["a"], r#"{"kubernetes":{"namespace":["a","b"]}}"#, Namespace::Named(1)),
            (&["a"], r#"{"kubernetes":{"namespace":"A"}}"#, Namespace::Else("not_allowed")),
            (&["a"], r#"{"kubernetes":{"namespace":"default"}}"#, Namespace::Else("not_allowed")),
            (&["a", "default"], r#"{"kubernetes":{"namespace":"default"}}"#, Namespace::Named(0)),
            (&["a"], r#"{"kubernetes":{"namespace":"a-*,logs-secret"}}"#, Namespace::Else("not_allowed")),
            (&["a"], r#"{"kubernetes":{"namespace":null}}"#, Namespace::Else("missing")),
            (&["a"], r#"{"kubernetes":"a"}"#, Namespace::Else("missing")),
            (&["true"], r#"{"kubernetes":{"namespace":true}}"#, Namespace::Else("missing")),
        ] {
            let mut space = Space::default();
            let record = Record::parse(document, &mut space).unwrap();
            assert_eq!(rule(allow, "default").unwrap().decide(&record), expected, "{document}");
        }
    }

    #[test]
    fn names_are_those_that_elasticsearch_takes() {
        for bad in ["", "A", "a b", "a/b", "a*", "a,b", "a:b", "a#", "a\n", &"a".repeat(101)] {
            assert!(rule(&[bad], "default").is_err() && rule(&["a"], bad).is_err(), "{bad:?}");
            assert!(Tenants::new(bad, rule(&["a"], "default").unwrap()).is_err(), "{bad:?}");
        }
        assert!(Tenants::new("ml-inference", rule(&["a"], "default").unwrap()).is_err(), "a data set has no `-`");
        let tenants = Tenants::new("ml.inference", rule(&["team-a", "b", "team-a"], "default").unwrap()).unwrap();
        assert_eq!(tenants.streams(), ["logs-ml.inference-default", "logs-ml.inference-team-a", "logs-ml.inference-b"]);
        assert_eq!((tenants.stream(2), tenants.stream(9)), ("logs-ml.inference-b", "logs-ml.inference-default"));
        assert_eq!((tenants.wildcard().as_str(), tenants.rule().name(1)), ("logs-ml.inference-*", "team-a"));
    }
}
