//! Reasons in words: what does a reject mean, and what would fix it?
//!
//! One table for every reason that a stage of ours gives, and for the kinds of error that Elasticsearch answers for one
//! document. `inferlog dead-letter show`, `explain` and the checks of pipeline files read it. It knows no stage: a test of
//! the source text sees to it that none of their reasons is missing.

use crate::flow::reject::Stage;

/// What a reason means, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Where it is given.
    pub stage: Stage,
    /// The reason, as it stands in the dead letter and in metrics.
    pub reason: &'static str,
    /// What happened, in a sentence.
    pub meaning: &'static str,
    /// What would let the record through.
    pub fix: &'static str,
}

const fn row(stage: Stage, reason: &'static str, meaning: &'static str, fix: &'static str) -> Explanation {
    Explanation { stage, reason, meaning, fix }
}

const FIX_WRITER: &str = "mend the program that writes the log, so that each line is one JSON object; a line that is \
    already written can only be looked at, and its entry removed with its file";

const FIX_MAPPING: &str = "change the index template so that the field takes the value (or rename, redact or hash the \
    member in the pipeline file), roll the data stream over (`POST STREAM/_rollover`), then replay";

const FIX_LABEL: &str = "give the members their names with `rename` in `labels: enrich`, or leave lines that are no labels out with \
    `drop`, then replay";

/// How reasons begin that only a line of labels has.
const OF_LABELS: [&str; 3] = ["csv_", "label_", "review_"];

/// Every reason that is known, by stage.
pub const EXPLANATIONS: &[Explanation] = &[
    row(
        Stage::Source,
        "line_too_long",
        "the line is longer than `source.files.line_bytes_max`, so it was passed over without being held in memory",
        "raise `source.files.line_bytes_max` in the pipeline file, then replay while the log file still holds the line",
    ),
    row(
        Stage::Source,
        "nul_bytes",
        "NUL bytes stand in the file where lines should be: a crash left them, a writer that was truncated and goes on at \
            its old place, or space that was allocated ahead and never filled; the parts of lines beside them are destroyed",
        "nothing brings those lines back; let the writer append (`O_APPEND`), and rotate by renaming instead of copytruncate",
    ),
    row(
        Stage::Decode,
        "not_an_object",
        "the line does not begin with `{`: it is no JSON object, such as a text line of a web server or of a stack trace",
        FIX_WRITER,
    ),
    row(
        Stage::Decode,
        "invalid_json",
        "the line begins like a JSON object but is not valid JSON, such as one that was cut",
        "mend the program that writes the log, so that each line is one JSON object; a line that is already written can only \
            be looked at, and its entry removed with its file",
    ),
    row(
        Stage::Decode,
        "bytes_after_object",
        "something follows the JSON object on its line, such as a second object",
        FIX_WRITER,
    ),
    row(
        Stage::Decode,
        "repeated_name",
        "two members of the object have the same name, so that it is not known which one counts; the detail says which",
        "mend the program that writes the log, so that each member has a name of its own: a field that a logger's context \
            and its call both set is the usual cause",
    ),
    row(
        Stage::Decode,
        "nested_too_deeply",
        "the object nests deeper than 1,000 levels, which Elasticsearch does not take either",
        "log what is nested so deeply as text, or leave it out",
    ),
    row(
        Stage::Decode,
        "invalid_utf8",
        "the line is not UTF-8, as JSON has to be",
        "what is not UTF-8 is mostly Latin-1 or Windows-1252: `source.files: { encoding: latin-1 }` reads it, then replay; or \
            make the program write UTF-8, by its locale (`LANG`, `PYTHONIOENCODING`, `-Dfile.encoding`)",
    ),
    row(
        Stage::Decode,
        "utf16",
        "the line looks like UTF-16 in a file that is read as another encoding: the file has no byte order mark at its start, \
            or a program that writes UTF-16 (PowerShell's `>>`) has appended to one in UTF-8",
        "`source.files: { encoding: utf-16le }` (or `utf-16be`) reads a whole file of it, then replay; into a file of UTF-8 write \
            UTF-8 (PowerShell: `Out-File -Append -Encoding utf8`)",
    ),
    row(
        Stage::Decode,
        "not_wrapped",
        "the line is not wrapped by the container runtime that `decode` names",
        "`decode: [auto, json]` takes such lines as they are, and recognises what wraps the others by how a file begins; then replay",
    ),
    row(
        Stage::Decode,
        "partial_line",
        "a container runtime has cut the line, and its last part is not there: the file was rotated in the middle of it, or the \
            parts together are longer than `source.files.line_bytes_max`",
        "for a long line raise `source.files.line_bytes_max`, then replay; what was cut by a rotation goes on at the start of the next file",
    ),
    row(
        Stage::Decode,
        "invalid_utf16",
        "the line is not UTF-16, as its file is read by its byte order mark or by `source.files.encoding`",
        "look at the file: a program that writes UTF-8 may have appended to it; let all of them write one encoding, best UTF-8",
    ),
    row(
        Stage::Decode,
        "non_finite",
        "the line has a bare `NaN` or `Infinity`, which JSON has not, and the pipeline file turns such lines away",
        "take `non_finite: reject` out of `decode: { json: … }` (or write `null` or `string` there), then replay",
    ),
    row(
        Stage::Decode,
        "otlp_without_logs",
        "the line is no export of OpenTelemetry's logs, which `decode: otlp` reads; the detail says whether it is one of spans or \
            metrics",
        "let the Collector write logs into a file of their own, or leave such lines out with `decode: { otlp: { other_text: drop } }`",
    ),
    row(
        Stage::Decode,
        "otlp_unreadable",
        "the line is an export of OpenTelemetry's logs that is not written as OTLP/JSON says",
        "read it with `decode: json` to see it whole, then replay; mend the program that writes it",
    ),
    row(
        Stage::Decode,
        "not_a_cloudevent",
        "the object is no event as CloudEvents have them in JSON: it has no `specversion`, two kinds of data, or an attribute \
            that cannot be named",
        "read lines that are no events with `decode: json`, then replay",
    ),
    row(
        Stage::Decode,
        "cloudevent_data_unreadable",
        "the `data_base64` of the event is no base64, or not the JSON that its `datacontenttype` says",
        "mend the program that writes the events; `decode: json` takes the event as it is, then replay",
    ),
    row(
        Stage::Decode,
        "split_unequal_lengths",
        "the arrays that `decode: split` takes apart have unequal lengths, so that it is not known which elements belong \
            together; the detail says which arrays",
        "mend the program that writes the log, or name only arrays in `split: { each: […] }` that have an element for each \
            record, then replay",
    ),
    row(
        Stage::Decode,
        "too_many_records",
        "the line gives more records than may be held, with what each of them repeats",
        "split the batch where it is written, or leave `split` out, then replay",
    ),
    row(
        Stage::Decode,
        "csv_too_many_cells",
        "the row of this CSV has more cells than there are names of columns: a comma in a text without quotes is the usual cause",
        "put texts with commas in quotes (`\"a, b\"`), or name all columns; a row that is already written can be written again, \
            right, at the end of the file",
    ),
    row(
        Stage::Decode,
        "csv_open_quote",
        "a cell of this CSV has no closing quote in its line; a row is one line, and a cell has no line end in it",
        "leave line ends out of cells, double the quotes inside of one (`\"\"`), and write the row again at the end of the file",
    ),
    row(
        Stage::Decode,
        "csv_unreadable",
        "the line is no row of cells",
        "write rows as RFC 4180 has them, and this one again at the end of the file",
    ),
    row(
        Stage::Decode,
        "csv_columns_unknown",
        "the first line of the file, which names the columns, cannot be read any more: the file was renamed, deleted or \
            written anew before its end was read",
        "name the columns in the pipeline file (`columns: [request_id, label]`), then replay",
    ),
    row(
        Stage::Enrich,
        "label_without_request_id",
        "the line of labels does not say of which prediction it is: `request_id` has to be a text of 1 to 512 bytes, or a number",
        FIX_LABEL,
    ),
    row(
        Stage::Enrich,
        "label_of_unknown_kind",
        "the line of labels has a `kind` that is neither `truth` nor `review`",
        "rename or redact that member in `labels: enrich`, then replay",
    ),
    row(
        Stage::Enrich,
        "label_missing",
        "the line of labels says nothing of what was true: it has no `label`, and is no review",
        FIX_LABEL,
    ),
    row(
        Stage::Enrich,
        "label_not_a_value",
        "the `label` is an object, or a list of several: one prediction has one class or one number",
        "name the member that holds the class with `rename` in `labels: enrich`, or write one line a row with `batch.index`, \
            then replay",
    ),
    row(
        Stage::Enrich,
        "label_time_unreadable",
        "`known_at`, `opened` or `decided` is neither an ISO 8601 date nor a number since 1970",
        "mend the program that writes the labels, or rename the member in `labels: enrich`, then replay",
    ),
    row(
        Stage::Enrich,
        "review_undecided",
        "the review has no `decision`, or another one than `upheld`, `overridden` or `escalated`",
        "write a line when it is decided; other words are given these by `add` with `when` in `labels: enrich`, then replay",
    ),
    row(
        Stage::Enrich,
        "repeated_name",
        "a member that a processor has to edit repeats a name inside, so that an edit could miss one of the two",
        "mend the program that writes the log, or take the processor that edits this member out of the pipeline file, \
            then replay",
    ),
    row(
        Stage::Enrich,
        "no_canonical_form",
        "an earlier version of inferlog did not ship a record when what `hash` has to hash has no canonical form (RFC \
            8785); this one ships it without the hash, noted as `not_hashed`",
        "replay, while the log file still holds the line",
    ),
    row(
        Stage::Sink,
        "document_parsing_exception",
        "Elasticsearch could not bring a member under the mapping of its index, such as a text where numbers are expected",
        FIX_MAPPING,
    ),
    row(
        Stage::Sink,
        "mapper_parsing_exception",
        "Elasticsearch could not bring a member under the mapping of its index, such as a text where numbers are expected",
        FIX_MAPPING,
    ),
    row(
        Stage::Sink,
        "strict_dynamic_mapping_exception",
        "the mapping of the index is strict, and the document has a member that it does not name",
        FIX_MAPPING,
    ),
    row(
        Stage::Sink,
        "illegal_argument_exception",
        "Elasticsearch refuses a value, such as a keyword over 32,766 bytes, a wrong date, or more fields than the index \
            may have",
        FIX_MAPPING,
    ),
    row(
        Stage::Sink,
        "max_bytes_length_exceeded_exception",
        "a keyword is longer than 32,766 bytes",
        "set `ignore_above` for the field in the index template, roll the data stream over, then replay",
    ),
    row(Stage::Sink, "parse_exception", "Elasticsearch could not read a value or a date in the document", FIX_MAPPING),
    row(
        Stage::Sink,
        "x_content_parse_exception",
        "Elasticsearch could not read the document's JSON, such as a number beyond its range or a repeated name",
        "redact or rename the member in the pipeline file, then replay",
    ),
    row(
        Stage::Sink,
        "json_parse_exception",
        "Elasticsearch could not read the document's JSON, such as a number beyond its range or a repeated name",
        "redact or rename the member in the pipeline file, then replay",
    ),
    row(
        Stage::Sink,
        "action_request_validation_exception",
        "Elasticsearch refused the request for this one document before it looked at its content",
        "read the detail; where it speaks of the id or the size, change the pipeline file, then replay",
    ),
    row(
        Stage::Sink,
        "content_too_large",
        "this one document is larger than a request to the server may be (413)",
        "raise `http.max_content_length` of Elasticsearch or the limit of the proxy before it, or leave large members \
            out, then replay",
    ),
    row(
        Stage::Sink,
        "bad_request",
        "the server refused the request for this one document (400) without a word",
        "look into the log of Elasticsearch, or of the proxy before it, then replay",
    ),
    row(
        Stage::Sink,
        "time_out_of_range",
        "the record's time has no index of its own: it is outside of the years that an index pattern can name",
        "mend the program that writes the log, or let `timestamp` read another member, then replay",
    ),
    row(
        Stage::Sink,
        "failure_store",
        "Elasticsearch keeps the document in the failure store of its data stream: it is not searchable with the others",
        FIX_MAPPING,
    ),
    row(
        Stage::Sink,
        "document_not_utf8",
        "the document is not valid UTF-8, and the store takes nothing else",
        "mend the program that writes the log",
    ),
    row(
        Stage::Sink,
        "document_too_large",
        "the document is larger than SQLite takes, 1 GB",
        "leave large members out, or lower `source.files.line_bytes_max`",
    ),
    row(
        Stage::Sink,
        "document_too_deep",
        "the document nests deeper than the 1,000 levels that SQLite takes",
        "log what is nested so deeply as text, or leave it out",
    ),
];

/// What a reason of a stage means. Elasticsearch has kinds of error that no table holds: those are explained alike.
pub fn explain(stage: &str, reason: &str) -> (&'static str, &'static str) {
    let known = EXPLANATIONS.iter().find(|row| row.stage.as_str() == stage && row.reason == reason);
    match known {
        Some(row) => (row.meaning, row.fix),
        None if stage == "sink" && reason.starts_with("status_") => (
            "the server turned the document down with this status, and gave no reason",
            "look into the log of Elasticsearch, or of the proxy before it, then replay",
        ),
        None if stage == "sink" => (
            "Elasticsearch turned this document down, or failed on it again and again while it took others",
            "read the detail, Elasticsearch's own words; change the index template or the pipeline file, then replay",
        ),
        None => (
            "this version of inferlog does not know the reason; a newer one may have written the entry",
            "read the detail, or use the newer version",
        ),
    }
}

/// The reasons that a line, other than one of labels, can be turned away for before a sink sees it, once each.
pub fn of_lines() -> Vec<&'static str> {
    let is_of_lines = |row: &&Explanation| {
        row.stage != Stage::Sink && !OF_LABELS.iter().any(|beginning| row.reason.starts_with(beginning))
    };
    let mut reasons: Vec<_> = EXPLANATIONS.iter().filter(is_of_lines).map(|row| row.reason).collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_says_something_of_its_own_stage() {
        for (n, row) in EXPLANATIONS.iter().enumerate() {
            assert!(row.meaning.len() > 20 && row.fix.len() > 20, "{}", row.reason);
            let same = |other: &Explanation| (other.stage, other.reason) == (row.stage, row.reason);
            assert!(!EXPLANATIONS[..n].iter().any(same), "{} stands twice", row.reason);
        }
        assert_ne!(explain("decode", "repeated_name"), explain("enrich", "repeated_name"));
        assert!(explain("sink", "null_pointer_exception").0.contains("again and again"));
        assert!(explain("sink", "status_410").0.contains("no reason"));
        assert!(explain("later", "x").1.contains("newer version"));
    }
}
