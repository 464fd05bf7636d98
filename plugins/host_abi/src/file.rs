//! Facts as text: what `flb-sidecar-abi` writes for a host that has no debug information where it
//! runs, and what `FLB_SIDECAR_ABI` names.

use std::fmt::Write as _;

use crate::facts::{Facts, Field, Struct};

/// First line: what it is, and the version of the form.
const HEAD: &str = "flb-sidecar-abi 1";

/// Last line: nothing was cut off.
const END: &str = "end";

/// The facts as text.
pub fn write(facts: &Facts) -> String {
    let mut text = format!("{HEAD}\n");
    // Writing to a String does not fail, here and below.
    if let Some(id) = &facts.build_id {
        let _ = writeln!(text, "build-id {id}");
    }
    for (name, layout) in &facts.structs {
        let _ = writeln!(text, "struct {name} {}", layout.bytes);
        for (path, field) in &layout.fields {
            let _ = writeln!(text, "  {path} {} {}", field.offset, field.kind);
        }
    }
    for (name, signature) in &facts.functions {
        let _ = writeln!(text, "function {name} {signature}");
    }
    for name in &facts.conflicts {
        let _ = writeln!(text, "conflict {name}");
    }
    text.push_str(END);
    text.push('\n');
    text
}

/// Reads such a text.
///
/// # Errors
/// The number of the first line that is not of this form, and why.
pub fn parse(text: &str) -> Result<Facts, String> {
    let mut lines = text.lines().enumerate();
    match lines.next() {
        Some((_, HEAD)) => {}
        other => {
            let found = other.map_or("nothing", |(_, line)| line);
            let found: String = found.chars().take(40).collect();
            return Err(format!(
                "line 1 is '{found}' instead of '{HEAD}': not written by the flb-sidecar-abi of \
                 this release"
            ));
        }
    }
    let mut facts = Facts::default();
    let mut current = None;
    let mut ended = false;
    for (index, line) in lines {
        if ended {
            return Err(format!("line {}: behind '{END}'", index + 1));
        }
        ended = line == END;
        if ended {
            continue;
        }
        read_line(&mut facts, &mut current, line)
            .map_err(|why| format!("line {}: {why}", index + 1))?;
    }
    if ended {
        Ok(facts)
    } else {
        Err(format!("it is cut off: its last line is not '{END}'"))
    }
}

fn read_line(facts: &mut Facts, current: &mut Option<String>, line: &str) -> Result<(), String> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let number = |digits: &str| -> Result<u64, String> {
        let number = digits.parse().ok().filter(|bytes| *bytes < 1 << 24);
        number.ok_or_else(|| format!("'{digits}' is no offset or size"))
    };
    if let Some(field) = line.strip_prefix("  ") {
        let (path, rest) = field.split_once(' ').ok_or("a field needs an offset")?;
        let (offset, kind) = rest.split_once(' ').ok_or("a field needs a kind")?;
        let layout = current
            .as_ref()
            .and_then(|name| facts.structs.get_mut(name))
            .ok_or("a field before the first struct")?;
        let field = Field {
            offset: number(offset)?,
            kind: kind.parse()?,
        };
        if layout.fields.insert(path.to_owned(), field).is_some() {
            return Err(format!("{path} is there twice"));
        }
        return Ok(());
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "build-id" => facts.build_id = Some(rest.to_owned()),
        "struct" => {
            let (name, bytes) = rest.split_once(' ').ok_or("a struct needs a size")?;
            let fresh = Struct {
                bytes: number(bytes)?,
                ..Struct::default()
            };
            if facts.structs.insert(name.to_owned(), fresh).is_some() {
                return Err(format!("struct {name} is there twice"));
            }
            *current = Some(name.to_owned());
        }
        "function" => {
            let (name, signature) = rest.split_once(' ').ok_or("a function needs a signature")?;
            let signature = signature.parse()?;
            if facts.functions.insert(name.to_owned(), signature).is_some() {
                return Err(format!("function {name} is there twice"));
            }
        }
        "conflict" => facts.conflicts.push(rest.to_owned()),
        _ => {
            let word: String = word.chars().take(40).collect();
            return Err(format!(
                "'{word}' is none of build-id, struct, function, conflict"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::facts::Kind;

    fn example() -> Facts {
        let mut facts = Facts {
            build_id: Some("0badcafe".to_owned()),
            conflicts: vec!["cio_ctx".to_owned()],
            ..Facts::default()
        };
        let mut layout = Struct {
            bytes: 240,
            ..Struct::default()
        };
        for (path, offset, kind) in [
            ("name", 24, Kind::Pointer),
            (
                "cb_init",
                48,
                Kind::Function("int4(*,flb_config*,*)".parse().unwrap()),
            ),
            ("options.flags", 12, Kind::Integer(4)),
            ("_head", 216, Kind::Struct("mk_list".to_owned(), 16)),
            ("anonymous", 200, Kind::Struct(String::new(), 16)),
            ("name_of_it", 96, Kind::Other(32)),
        ] {
            layout
                .fields
                .insert(path.to_owned(), Field { offset, kind });
        }
        facts.structs.insert("flb_input_plugin".to_owned(), layout);
        facts
            .functions
            .insert("flb_x".to_owned(), "void(*)".parse().unwrap());
        facts
    }

    #[test]
    fn what_is_written_is_read_back() {
        let facts = example();
        assert_eq!(parse(&write(&facts)), Ok(facts));
    }

    #[test]
    fn what_is_not_of_this_form_is_named_with_its_line() {
        let good = write(&example());
        for (broken, part) in [
            (String::new(), "line 1"),
            ("flb-sidecar-abi 2\n".to_owned(), "line 1"),
            (good.replace("build-id", "built"), "line 2: 'built'"),
            (good.replace(" 24 pointer", " 24 painter"), "painter"),
            (good.replace(" 24 pointer", " -1 pointer"), "'-1'"),
            (good.replace(" 24 pointer", ""), "needs an offset"),
            (
                good.replace("\nend", "\nfunction flb_x void()\nend"),
                "twice",
            ),
            (
                good.replace("\nend", "\nstruct flb_input_plugin 8\nend"),
                "twice",
            ),
            (format!("{good}conflict cio_ctx\n"), "behind 'end'"),
            (
                "flb-sidecar-abi 1\n  name 1 pointer\n".to_owned(),
                "before the first",
            ),
        ] {
            let error = parse(&broken).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_refused() {
        let good = write(&example());
        for at in 0..good.len() - 1 {
            assert!(parse(&good[..at]).is_err(), "at {at}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(flb-sidecar-abi 1\n)?(.{0,20}\n){0,6}") {
            let _ = parse(&text);
        }
    }
}
