//! The figures: medians, the least and the most, and ratios within a turn.

use std::fmt::Write as _;

use crate::shared::{Figure, commit, machine};
use crate::{Place, Program, Run, peers};

/// The runs of some programs over one corpus.
pub(crate) struct Table {
    shape: &'static str,
    gzip: bool,
    records: u64,
    bytes: u64,
    rows: Vec<Row>,
}

struct Row {
    program: Program,
    runs: Vec<Run>,
    /// What was noticed, once each.
    remarks: Vec<String>,
}

impl Table {
    pub(crate) fn new(place: &Place, gzip: bool, programs: &[Program]) -> Table {
        let row = |program: &Program| Row { program: *program, runs: Vec::new(), remarks: Vec::new() };
        let rows = programs.iter().map(row).collect();
        Table { shape: place.shape.name(), gzip, records: place.records, bytes: place.bytes, rows }
    }

    fn title(&self) -> String {
        let gzip = if self.gzip { "on" } else { "off" };
        let (records, bytes) = (self.records, self.bytes / self.records);
        format!("Records `{}`: {records} of {bytes} bytes on average, gzip {gzip}", self.shape)
    }

    pub(crate) fn print_head(&self) {
        println!("\n{}", self.title());
    }

    pub(crate) fn add(&mut self, position: usize, run: Run, remark: String) {
        let row = &mut self.rows[position];
        println!(
            "  {:<12} {:>6.2} CPU-seconds ({:.2} user, {:.2} system), {:>6.2} s, peak {:>6.1} MiB, {} requests, endpoint {:.2} \
             CPU-seconds; {remark}",
            row.program.name(),
            run.cpu_seconds(),
            run.spent.user_seconds,
            run.spent.system_seconds,
            run.wall_seconds,
            run.spent.peak_mib,
            run.counted.requests,
            run.endpoint_seconds,
        );
        row.runs.push(run);
        if !remark.ends_with("documents checked") && !row.remarks.contains(&remark) {
            row.remarks.push(remark);
        }
    }

    pub(crate) fn print_medians(&self) {
        println!("{}", self.markdown());
    }

    /// CPU-seconds of a million records.
    fn per_million(&self, row: &Row) -> Figure {
        Figure::of(row.runs.iter().map(|run| run.cpu_seconds() * 1e6 / self.records as f64))
    }

    /// The CPU time of a program in units of another one's, turn by turn.
    fn ratio(&self, row: &Row, unit: Program) -> Option<Figure> {
        let unit = self.rows.iter().find(|row| row.program == unit)?;
        let pairs = row.runs.iter().zip(&unit.runs);
        Some(Figure::of(pairs.map(|(run, unit)| run.cpu_seconds() / unit.cpu_seconds())))
    }

    /// What has to stand in the document.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "| | CPU-seconds a million | of it system | records a CPU-second | MB a CPU-second | records a second | \
             peak MiB | CPU in units of inferlog's | in units of the limit's |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        );
        for row in &self.rows {
            let million = self.per_million(row);
            let of_runs = |figure: &dyn Fn(&Run) -> f64| Figure::of(row.runs.iter().map(figure));
            let rate = of_runs(&|run| self.records as f64 / run.cpu_seconds());
            let in_units = |unit| self.ratio(row, unit).map_or_else(String::new, |ratio| ratio.text(2));
            let _ = writeln!(
                text,
                "| {} | {} | {:.2} | {:.0} | {:.0} | {:.0} | {:.1} | {} | {} |",
                row.program.name(),
                million.text(2),
                of_runs(&|run| run.spent.system_seconds * 1e6 / self.records as f64).median,
                rate.median,
                rate.median * self.bytes as f64 / self.records as f64 / 1e6,
                of_runs(&|run| self.records as f64 / run.wall_seconds).median,
                of_runs(&|run| run.spent.peak_mib).median,
                in_units(Program::Inferlog),
                in_units(Program::Limit),
            );
        }
        text
    }
}

/// The section of the document.
pub(crate) fn section(command: &str, tables: &[Table]) -> String {
    let turns = tables.first().and_then(|table| table.rows.first()).map_or(0, |row| row.runs.len());
    let mut text = format!(
        "Measured at {} on {}; each program {turns} times, turn by turn: medians, and in brackets the least and the most.\n\
         Again:\n\n    {command}\n",
        commit(),
        machine()
    );
    for table in tables {
        let _ = write!(text, "\n{}\n\n{}", table.title(), table.markdown());
        for row in &table.rows {
            for remark in &row.remarks {
                let _ = writeln!(text, "\n{}: {remark}.", row.program.name());
            }
        }
    }
    let _ = write!(text, "\n{}", peers::remarks());
    text
}
