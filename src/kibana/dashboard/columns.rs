//! Columns of a Lens layer: what the words of a source are in Lens' own state, at the level of Kibana 8.12.
//!
//! Kibana imports a column that it cannot draw, and shows an error in its place. So what can be known here is refused here: a field
//! that the data view does not have or that is of another type, and a condition that is not KQL.

use serde_json::{Map, Value, json};

use super::dimension::{Bucket, Direction, Filter, Format, Metric, Operation, Range, Ranges, RankBy, Terms};
use super::formula::{self, Call};
use crate::kibana::fields::Fields;
use crate::kql::{Expression, FieldKind};

/// The columns of a layer by their ids, in Lens' order: buckets, then metrics, each with what it is made of.
pub(super) type Columns = Vec<(String, Value)>;

/// What stands for whole documents.
const RECORDS: &str = "___records___";

/// The field of time.
const TIME: &str = "@timestamp";

/// A condition, known to be KQL over fields that are there.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn kql(fields: &Fields, text: &str) -> Result<Value, String> {
    let expression = Expression::parse_question(text).map_err(|error| format!("`{text}` is not KQL: {error}"))?;
    expression.fields().into_iter().try_for_each(|field| kind(fields, field).map(|_| ()))?;
    Ok(json!({ "language": "kuery", "query": text }))
}

fn kind(fields: &Fields, field: &str) -> Result<FieldKind, String> {
    fields.get(field).copied().ok_or_else(|| format!("the data view has no field `{field}`"))
}

/// Lens' name of what a field's values are.
fn data_type(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Keyword => "string",
        FieldKind::Number => "number",
        FieldKind::Boolean => "boolean",
        FieldKind::Date => "date",
    }
}

/// The columns of a metric: its own, and those of a formula's parts.
///
/// # Errors
/// When it does not fit the fields.
pub(super) fn metric(fields: &Fields, id: &str, metric: &Metric) -> Result<Columns, String> {
    if metric.operation == Operation::Formula {
        return formula(fields, id, metric);
    }
    if metric.formula.is_some() {
        return Err(format!("`{}` has a formula, and is none", metric.label));
    }
    let call = Call {
        operation: metric.operation,
        field: metric.field.clone(),
        filter: metric.filter.clone(),
        percentile: metric.percentile,
    };
    let mut column = operation(fields, &call, &metric.label, false)?;
    set_format(&mut column, metric.format.as_ref());
    Ok(vec![(id.to_owned(), column)])
}

fn set_format(column: &mut Value, format: Option<&Format>) {
    let Some(Format { kind, decimals, suffix, compact }) = format else { return };
    let mut params = Map::from_iter([("decimals".to_owned(), json!(decimals))]);
    if let Some(suffix) = suffix {
        params.insert("suffix".to_owned(), json!(suffix));
    }
    if *compact {
        params.insert("compact".to_owned(), json!(true));
    }
    column["params"]["format"] = json!({ "id": kind.as_str(), "params": params });
}

fn formula(fields: &Fields, id: &str, metric: &Metric) -> Result<Columns, String> {
    let text = metric.formula.as_deref().ok_or_else(|| format!("`{}` lacks its `formula`", metric.label))?;
    if metric.filter.is_some() || metric.field.is_some() {
        return Err(format!("`{}` is a formula: fields and filters stand in it", metric.label));
    }
    let formula = formula::read(text, id)?;
    let part_label = format!("Part of {}", metric.label);
    let mut parts = Columns::new();
    for call in &formula.calls {
        parts.push((format!("{id}X{}", parts.len()), operation(fields, call, &part_label, true)?));
    }
    if let Some(arithmetic) = formula.arithmetic {
        let references: Vec<&String> = parts.iter().map(|(id, _)| id).collect();
        let math = json!({
            "label": part_label, "customLabel": true, "dataType": "number", "operationType": "math", "isBucketed": false,
            "scale": "ratio", "params": { "tinymathAst": arithmetic }, "references": references,
        });
        parts.push((format!("{id}X{}", parts.len()), math));
    }
    let mut column = json!({
        "label": metric.label, "customLabel": true, "dataType": "number", "operationType": "formula", "isBucketed": false,
        "scale": "ratio", "params": { "formula": text, "isFormulaBroken": false },
        "references": [format!("{id}X{}", parts.len() - 1)],
    });
    set_format(&mut column, metric.format.as_ref());
    Ok([(id.to_owned(), column)].into_iter().chain(parts).collect())
}

/// The column of one operation. As a part of a formula it is never empty: nothing counts as 0.
fn operation(fields: &Fields, call: &Call, label: &str, is_part: bool) -> Result<Value, String> {
    let Call { operation, field, filter, percentile } = call;
    let name = operation.as_str();
    let kind = field.as_deref().map(|field| kind(fields, field)).transpose()?;
    let fits = match (operation, kind) {
        (Operation::Count, None) | (Operation::UniqueCount | Operation::LastValue, Some(_)) => true,
        (Operation::Min | Operation::Max, Some(kind)) => matches!(kind, FieldKind::Number | FieldKind::Date),
        (Operation::Count | Operation::Formula, _) | (_, None) => false,
        (_, Some(kind)) => kind == FieldKind::Number,
    };
    if is_part && *operation == Operation::LastValue {
        return Err(format!("`{label}`: a formula cannot have the last value, as Lens asks for a list of values"));
    }
    if !fits || (*operation == Operation::Percentile) != percentile.is_some() {
        return Err(format!("`{label}`: `{name}` does not go with {field:?}, percentile {percentile:?}"));
    }
    let field = field.as_deref().unwrap_or(RECORDS);
    let is_of_type = matches!(operation, Operation::Min | Operation::Max | Operation::LastValue);
    let data_type = kind.filter(|_| is_of_type).map_or("number", data_type);
    let params = match operation {
        Operation::Count | Operation::Sum | Operation::UniqueCount => json!({ "emptyAsNull": false }),
        Operation::Percentile => json!({ "percentile": percentile }),
        // Else it is asked for with an aggregation that not every Elasticsearch has.
        Operation::LastValue => json!({ "sortField": TIME, "showArrayValues": true }),
        _ => json!({ "emptyAsNull": !is_part }),
    };
    let mut column = json!({
        "label": label, "customLabel": true, "dataType": data_type, "operationType": name, "isBucketed": false,
        "scale": if data_type == "string" { "ordinal" } else { "ratio" }, "sourceField": field, "params": params,
    });
    // The last document that has the field at all.
    let filter = match (operation, filter) {
        (Operation::LastValue, None) => Some(format!("{field} : *")),
        (Operation::LastValue, Some(filter)) => Some(format!("({filter}) and {field} : *")),
        (_, filter) => filter.clone(),
    };
    if let Some(filter) = filter {
        column["filter"] = kql(fields, &filter)?;
    }
    Ok(column)
}

/// The column of what documents are told apart by. `metrics` are those of the layer with their ids, by which values can be ranked.
///
/// # Errors
/// When it does not fit the fields.
pub(super) fn bucket(fields: &Fields, bucket: &Bucket, metrics: &[(String, &Metric)]) -> Result<Value, String> {
    match bucket {
        Bucket::DateHistogram(_) => Ok(json!({
            "label": TIME, "dataType": "date", "operationType": "date_histogram", "isBucketed": true, "scale": "interval",
            "sourceField": TIME, "params": { "interval": "auto", "includeEmptyRows": true, "dropPartials": false },
        })),
        Bucket::Terms(one) => terms(fields, one, metrics),
        Bucket::Range(one) => ranges(fields, one),
        Bucket::Filters(one) => {
            let filter = |one: &Filter| Ok(json!({ "input": kql(fields, &one.filter)?, "label": one.label }));
            let filters: Vec<Value> = one.filters.iter().map(filter).collect::<Result<_, String>>()?;
            Ok(json!({
                "label": one.label, "customLabel": true, "dataType": "string", "operationType": "filters",
                "isBucketed": true, "scale": "ordinal", "params": { "filters": filters },
            }))
        }
    }
}

fn terms(fields: &Fields, terms: &Terms, metrics: &[(String, &Metric)]) -> Result<Value, String> {
    let [field] = &terms.fields;
    let kind = kind(fields, field)?;
    let (order, direction) = ranking(terms, metrics)?;
    let mut params = json!({
        "size": terms.limit, "orderDirection": direction.as_str(),
        "otherBucket": terms.other_bucket.is_some(),
        "missingBucket": terms.other_bucket.is_some_and(|other| other.include_documents_without_field),
        "parentFormat": { "id": "terms" },
        "include": [], "exclude": [], "includeIsRegex": false, "excludeIsRegex": false,
    });
    if order["type"] == "custom" {
        params["orderAgg"] = json!({
            "label": "Count of records", "dataType": "number", "operationType": "count", "isBucketed": false,
            "scale": "ratio", "sourceField": RECORDS, "params": { "emptyAsNull": false },
        });
    }
    params["orderBy"] = order;
    Ok(json!({
        "label": terms.label, "customLabel": true, "dataType": data_type(kind), "operationType": "terms",
        "isBucketed": true, "scale": "ordinal", "sourceField": field, "params": params,
    }))
}

/// By what values are ranked, and which end comes first.
fn ranking(terms: &Terms, metrics: &[(String, &Metric)]) -> Result<(Value, Direction), String> {
    let by_column = |id: &str| json!({ "type": "column", "columnId": id });
    match terms.rank_by {
        RankBy::Count => {
            let mut plain = metrics.iter().filter(|(_, m)| m.operation == Operation::Count && m.filter.is_none());
            let order = plain.next().map_or_else(|| json!({ "type": "custom" }), |(id, _)| by_column(id));
            Ok((order, Direction::Desc))
        }
        RankBy::Alphabetical { direction } => Ok((json!({ "type": "alphabetical", "fallback": false }), direction)),
        RankBy::Metric { metric_index, direction } => {
            let metric = metrics.get(metric_index).filter(|(_, metric)| {
                // Elasticsearch cannot order by what is made of its answer.
                metric.operation != Operation::Formula && metric.operation != Operation::LastValue
            });
            let (id, _) =
                metric.ok_or_else(|| format!("`{}` cannot be ranked by metric {metric_index}", terms.label))?;
            Ok((by_column(id), direction))
        }
    }
}

fn ranges(fields: &Fields, ranges: &Ranges) -> Result<Value, String> {
    if kind(fields, &ranges.field)? != FieldKind::Number {
        return Err(format!("`{}` is not a number, and has no ranges", ranges.field));
    }
    let range = |range: &Range| json!({ "from": range.gt, "to": range.lte, "label": range.label });
    let parent = json!({ "id": "range", "params": { "template": "arrow_right", "replaceInfinity": true } });
    Ok(json!({
        "label": ranges.label, "customLabel": true, "dataType": "string", "operationType": "range", "isBucketed": true,
        "scale": "ordinal", "sourceField": ranges.field,
        "params": {
            "type": "range", "maxBars": "auto", "parentFormat": parent,
            "ranges": ranges.ranges.iter().map(range).collect::<Vec<_>>(),
        },
    }))
}
