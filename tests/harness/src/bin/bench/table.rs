//! Figures of several runs, and their table.

use std::fmt::Write as _;

use crate::chart::Bar;

/// One figure of every run.
#[derive(Debug, Clone, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Figures(values)
    }

    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => self.0[middle],
            _ => (self.0[middle - 1] + self.0[middle]) / 2.0,
        }
    }

    fn text(&self) -> String {
        let number = |value: f64| match value {
            v if v.abs() >= 100.0 => format!("{v:.0}"),
            v if v.abs() >= 10.0 => format!("{v:.1}"),
            v => format!("{v:.2}"),
        };
        match (self.0.first(), self.0.last()) {
            (Some(&least), Some(&most)) => {
                let median = number(self.median());
                format!("{} / {median} / {}", number(least), number(most))
            }
            _ => "-".to_owned(),
        }
    }
}

/// What a ratio should be.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
    None,
}

impl Target {
    fn text(self) -> String {
        match self {
            Target::AtLeast(limit) => format!(">= {limit}"),
            Target::AtMost(limit) => format!("<= {limit}"),
            Target::None => "-".to_owned(),
        }
    }

    fn verdict(self, value: f64) -> &'static str {
        let met = match self {
            Target::AtLeast(limit) => value >= limit,
            Target::AtMost(limit) => value <= limit,
            Target::None => return "",
        };
        if met {
            "met"
        } else {
            "NOT MET"
        }
    }
}

/// What a row is about.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    pub what: &'static str,
    pub figure: &'static str,
    /// The larger value is divided by the smaller one's side so: ours over stock, or stock over ours.
    pub ratio: Ratio,
    pub target: Target,
}

/// How a ratio is made.
#[derive(Debug, Clone, Copy)]
pub enum Ratio {
    OursToStock,
    StockToOurs,
    /// There is nothing to compare with: the value itself has the target.
    Alone,
}

/// A row.
#[derive(Debug)]
struct Row {
    host: String,
    head: Head,
    ours: Figures,
    stock: Figures,
}

impl Row {
    fn value(&self) -> f64 {
        match self.head.ratio {
            Ratio::OursToStock => self.ours.median() / self.stock.median(),
            Ratio::StockToOurs => self.stock.median() / self.ours.median(),
            Ratio::Alone => self.ours.median(),
        }
    }

    fn cells(&self) -> [String; 8] {
        let value = self.value();
        let ratio = match self.head.ratio {
            Ratio::Alone => "-".to_owned(),
            Ratio::OursToStock => format!("{value:.2} ours/stock"),
            Ratio::StockToOurs => format!("{value:.1} stock/ours"),
        };
        [
            self.host.clone(),
            self.head.what.to_owned(),
            self.head.figure.to_owned(),
            self.ours.text(),
            self.stock.text(),
            ratio,
            self.head.target.text(),
            self.head.target.verdict(value).to_owned(),
        ]
    }
}

/// All rows.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Table {
    pub fn add(&mut self, host: &str, head: Head, ours: Figures, stock: Figures) {
        let host = host.to_owned();
        self.rows.push(Row {
            host,
            head,
            ours,
            stock,
        });
    }

    /// What could not be measured.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Processor time of a MB or a record, wherever there was something to compare it with.
    pub fn cpu(&self) -> Vec<Bar> {
        let rows = self.rows.iter().filter(|row| {
            let figure = row.head.figure;
            let per_work = figure.starts_with("CPU") && !figure.ends_with("/s");
            per_work && !matches!(row.head.ratio, Ratio::Alone)
        });
        let bars = rows.map(|row| Bar {
            what: row.head.what,
            host: row.host.clone(),
            part: row.ours.median() / row.stock.median(),
        });
        bars.filter(|bar| bar.part.is_finite()).collect()
    }

    /// The rows of `host`, or all of them.
    pub fn text(&self, host: Option<&str>) -> String {
        let wanted = |row: &&Row| host.is_none_or(|host| row.host == host);
        let heads = [
            "host",
            "what",
            "figure",
            "ours min / median / max",
            "stock min / median / max",
            "ratio of medians",
            "target",
            "",
        ];
        let mut lines = vec![heads.map(str::to_owned)];
        lines.extend(self.rows.iter().filter(wanted).map(Row::cells));
        let width = |column: usize| {
            lines
                .iter()
                .map(|cells| cells[column].chars().count())
                .max()
        };
        let widths: Vec<usize> = (0..heads.len()).filter_map(width).collect();
        let mut text = String::new();
        for cells in &lines {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(&widths) {
                let _ = write!(line, "{cell:width$}  ");
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        text
    }
}
