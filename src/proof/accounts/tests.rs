//! Accounts as they are made, saved, sent and taken.

use std::sync::Arc;

use super::*;
use crate::flow::ack::FileNumber;
use crate::flow::batch::SourceFile;
use crate::state::checkpoint::{Fingerprint, Position};

fn subject(config: &str) -> Subject {
    let (pipeline, host, targets) = ("p".to_owned(), "h".to_owned(), vec!["store".to_owned()]);
    let (config, config_text, named_kinds) = (config.to_owned(), "source: …".to_owned(), Vec::new());
    Subject { pipeline, host, config, config_text, targets, named_kinds }
}

fn settled(inode: u64, end: u64) -> Settled {
    let mut mark = Mark::of_line(inode as FileNumber, Position { offset_bytes: end, tail: Fingerprint::default() });
    mark.source = Arc::new(SourceFile { inode, ..SourceFile::default() });
    mark.tally.keep(&Id([b'a'; ID_CHARACTERS]));
    let delivered = Delivered { indexed: 1, ..Delivered::default() };
    Settled { destination: Destination::Records, marks: vec![mark], delivered: vec![("store".into(), delivered)] }
}

/// A kind of account, and its ranges as inode, beginning and end.
type Shown = (String, Vec<(u64, u64, u64)>);

/// The accounts that are sent now.
fn sent(accounts: &mut Accounts) -> Vec<Shown> {
    let Some(batch) = accounts.next_batch() else { return Vec::new() };
    let read = |item| {
        let account: Account = serde_json::from_slice(batch.document(item)).unwrap();
        let range = |range: &Range| (range.inode, range.from_bytes, range.to_bytes);
        (account.kind, account.files.iter().map(range).collect())
    };
    batch.items().iter().map(read).collect()
}

fn answer(accounts: &mut Accounts, indexed: u64) {
    let delivered = vec![("store".into(), Delivered { indexed, ..Delivered::default() })];
    accounts.add(&Settled { destination: Destination::Accounts, marks: Vec::new(), delivered });
}

#[test]
fn an_account_is_sent_when_it_is_saved_and_until_it_is_taken() {
    let (mut accounts, _) = Accounts::start(subject("one"), Value::Null);
    assert!(accounts.is_urgent() && sent(&mut accounts).is_empty(), "it is not on disk");
    accounts.saved();
    let kinds = |sent: Vec<(String, Vec<_>)>| sent.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(kinds(sent(&mut accounts)), ["configuration", "start"]);
    assert!(sent(&mut accounts).is_empty(), "they are on their way");
    answer(&mut accounts, 1);
    assert!(accounts.is_pending() && !accounts.is_hopeful() && sent(&mut accounts).is_empty(), "in a minute again");
    // A crash: the same ones are sent again, under the same ids, with the next start.
    let ids = |state: &Value| state["pending"].as_array().unwrap().iter().map(|p| p["id"].clone()).collect::<Vec<_>>();
    let before = accounts.state();
    let (mut accounts, is_readable) = Accounts::start(subject("one"), before.clone());
    assert!(is_readable && ids(&accounts.state())[..2] == ids(&before)[..]);
    accounts.saved();
    assert_eq!(kinds(sent(&mut accounts)), ["configuration", "start", "start"]);
    answer(&mut accounts, 3);
    assert!(!accounts.is_pending());
}

#[test]
fn ranges_grow_and_are_told_once_and_of_the_configuration_that_decided_them() {
    let (mut accounts, _) = Accounts::start(subject("one"), Value::Null);
    accounts.saved();
    sent(&mut accounts);
    answer(&mut accounts, 2);
    [(7, 1), (7, 2), (8, 5), (7, 3)].into_iter().for_each(|(inode, end)| accounts.add(&settled(inode, end)));
    let news = accounts.saved();
    assert_eq!((news.lines, news.sinks["store"].indexed), (4, 4));
    // What the checkpoint holds goes on, under another configuration.
    let (mut accounts, _) = Accounts::start(subject("two"), accounts.state());
    assert_eq!(accounts.totals().lines, 4);
    let open = of_checkpoint(&accounts.state());
    let by_config: Vec<_> = open.iter().filter(|account| !account.files.is_empty()).map(|a| &*a.config).collect();
    assert_eq!(by_config, ["one"]);
    accounts.saved();
    let told = sent(&mut accounts);
    assert_eq!(told[0], ("interval".to_owned(), vec![(7, 0, 3), (8, 4, 5)]));
    assert_eq!(told[1..].iter().map(|(kind, _)| &**kind).collect::<Vec<_>>(), ["configuration", "start"]);
}

#[test]
fn many_ranges_are_told_early_in_several_accounts_and_none_is_given_up() {
    let (mut accounts, _) = Accounts::start(subject("one"), Value::Null);
    accounts.saved();
    sent(&mut accounts);
    answer(&mut accounts, 2);
    (0..RANGES_DUE as u64).for_each(|inode| accounts.add(&settled(inode, 9)));
    accounts.close_if_due(Waiting::default);
    accounts.saved();
    let told = sent(&mut accounts);
    assert_eq!(told.iter().map(|(_, files)| files.len()).collect::<Vec<_>>(), [RANGES_PER_ACCOUNT_MAX; 5]);
    let (accounts, is_readable) = Accounts::start(subject("one"), json!({ "sequence": "damaged" }));
    assert!(!is_readable && accounts.is_pending(), "what cannot be read is begun anew");
}

#[test]
fn what_was_counted_under_a_kind_goes_on_under_the_name_of_its_first_sink() {
    let (mut accounts, _) = Accounts::start(subject("one"), Value::Null);
    accounts.add(&settled(7, 1));
    accounts.saved();
    let named_kinds = vec![("store", "audit".to_owned())];
    let (accounts, _) = Accounts::start(Subject { named_kinds, ..subject("one") }, accounts.state());
    let sinks: Vec<_> = accounts.totals().sinks.iter().map(|(name, delivered)| (&**name, delivered.indexed)).collect();
    assert_eq!(sinks, [("audit", 1)]);
}
