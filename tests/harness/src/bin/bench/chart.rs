//! The processor time of our plugins as a part of that of the stock ones: a bar for every
//! comparison and host, as an SVG.

use std::fmt::Write as _;

/// Text as XML has it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// One bar.
#[derive(Debug, Clone)]
pub struct Bar {
    pub what: &'static str,
    pub host: String,
    /// Ours divided by the stock one's.
    pub part: f64,
}

/// Where bars begin, how long the one of the stock plugins is, and how high a line is.
const LEFT: f64 = 120.0;
const FULL: f64 = 480.0;
const LINE: usize = 20;

/// A group of bars for each comparison, in the order of their first bars.
pub fn svg(bars: &[Bar], caption: &str) -> String {
    let mut groups: Vec<&'static str> = Vec::new();
    for bar in bars {
        if !groups.contains(&bar.what) {
            groups.push(bar.what);
        }
    }
    let height = LINE * (bars.len() + 2 * groups.len() + 3);
    let mut drawn = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{height}\" \
         viewBox=\"0 0 760 {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"760\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    let mut at = LINE;
    let mut put = |x: f64, y: usize, style: &str, text: &str| {
        let _ = writeln!(
            drawn,
            "<text x=\"{x}\" y=\"{y}\" fill=\"#222\"{style}>{}</text>",
            escaped(text)
        );
    };
    put(
        10.0,
        at,
        " font-weight=\"bold\"",
        "Processor time: ours (blue) of the stock plugins' (grey)",
    );
    let mut boxes = String::new();
    for what in groups {
        at += 2 * LINE;
        put(10.0, at, "", what);
        for bar in bars.iter().filter(|bar| bar.what == what) {
            at += LINE;
            put(30.0, at, " font-size=\"12\"", &bar.host);
            let part = bar.part.clamp(0.0, 1.2);
            let _ = writeln!(
                boxes,
                "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{FULL}\" height=\"14\" fill=\"#ddd\"/>\
                 <rect x=\"{LEFT}\" y=\"{top}\" width=\"{:.1}\" height=\"14\" fill=\"#2b6cb0\"/>",
                part * FULL,
                top = at - 12,
            );
            let said = if bar.part < 0.1 {
                format!("1/{:.0}", 1.0 / bar.part)
            } else {
                format!("{:.2}", bar.part)
            };
            put(LEFT + 1.2 * FULL + 8.0, at, "", &said);
        }
    }
    put(10.0, at + 2 * LINE, " font-size=\"11\"", caption);
    drawn + &boxes + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_is_as_long_as_its_part_and_text_is_escaped() {
        let bar = |what, part| Bar {
            what,
            host: "5.1.1 <new>".to_owned(),
            part,
        };
        let svg = svg(
            &[
                bar("lines", 0.25),
                bar("redaction", 0.04),
                bar("lines", 9.0),
            ],
            "a & b",
        );
        assert_eq!(svg.matches("fill=\"#ddd\"").count(), 3);
        for expected in [
            "width=\"120.0\"",
            "width=\"19.2\"",
            "width=\"576.0\"",
            ">0.25<",
            ">1/25<",
            ">9.00<",
            "5.1.1 &lt;new&gt;",
            "a &amp; b",
        ] {
            assert!(svg.contains(expected), "{expected} in {svg}");
        }
        assert_eq!(svg.matches(">lines<").count(), 1);
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }
}
