//! One line of the Prometheus text format.

/// A number with its name and labels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

/// Labels that say which worker it was; one that has such a label of its own keeps it under another
/// name, as Prometheus does it.
const OURS: [&str; 2] = ["model", "replica"];

impl Sample {
    /// Reads a line; `None` for comments, and for what is no sample. A time stamp is passed over:
    /// what a worker says is as old as its last beat.
    pub(super) fn read(line: &str) -> Option<Self> {
        let line = line.trim();
        let name_end = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
        let (name, rest) = line.split_at(name_end);
        if !is_name(name, ":") {
            return None;
        }
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Self { name: name.to_owned(), labels, value })
    }
}

/// Reads up to the closing brace; returns what follows it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once('=')?;
        let name = name.trim();
        let (value, after) = quoted(after.trim_start().strip_prefix('"')?)?;
        if !is_name(name, "") {
            return None;
        }
        let is_ours = OURS.contains(&name);
        labels.push((if is_ours { format!("exported_{name}") } else { name.to_owned() }, value));
        rest = after;
    }
}

/// Reads up to the closing quote; returns what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            letter => value.push(letter),
        }
    }
    None
}

fn is_name(text: &str, more: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || more.contains(c);
    text.chars().all(fits) && text.starts_with(|c: char| !c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let expected = Sample { name: name.into(), labels, value };
        assert_eq!(Sample::read(line), Some(expected), "{line}");
    }

    #[test]
    fn samples_are_read() {
        check("up 1", "up", &[], 1.0);
        check("a:b_total 1.5e3 1700000000000", "a:b_total", &[], 1500.0);
        check(r#"x{a="1", b="{,}"} +Inf"#, "x", &[("a", "1"), ("b", "{,}")], f64::INFINITY);
        check(r#"x{a="q\"\\\n",} 2"#, "x", &[("a", "q\"\\\n")], 2.0);
        check(r#"x{model="m"} -1"#, "x", &[("exported_model", "m")], -1.0);
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        for line in [
            "",
            "# HELP up x",
            "up",
            "up x",
            "9up 1",
            "u-p 1",
            r#"x{a="1" 2"#,
            r#"x{a=1} 2"#,
            r#"x{a-b="1"} 2"#,
            r#"x{a="1\"#,
            "{} 1",
        ] {
            assert_eq!(Sample::read(line), None, "{line}");
        }
    }
}
