//! What somebody may have meant who wrote a word that is not known.

/// How alike two words must be, from 0 to 1, for one to be taken for a misspelling of the other.
/// `listn` and `listen` have 0.97, `timeout` and `timeout_seconds` 0.89, unlike words below 0.6.
const ALIKE_MIN: f64 = 0.75;

/// The known word that is most like another one, if one is like it at all.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(alike, _)| *alike >= ALIKE_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_word_and_a_stranger_none() {
        let known = ["listen", "timeout_seconds", "queue_max"];
        let check = |word| nearest(word, known.into_iter());
        assert_eq!(check("listn"), Some("listen"));
        assert_eq!(check("timeout"), Some("timeout_seconds"));
        assert_eq!(check("colour"), None);
    }
}
