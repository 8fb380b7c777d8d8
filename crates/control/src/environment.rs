//! The environment of a worker: what the model asks for, and how many threads it may use.

use std::collections::BTreeMap;

/// What math libraries read to learn how many threads they may start. Without it each worker takes
/// all cores, and workers that share a machine slow each other down.
const THREAD_COUNTS: [&str; 6] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
];

/// A variable of the server's environment by name, `None` if it is not set.
pub(crate) type Lookup<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// The variables that make math libraries keep to `cpus` processors, rounded up.
pub(crate) fn threads(cpus: f64) -> impl Iterator<Item = (String, String)> {
    // Checked when the configuration was read: a number above 0.
    let threads = (cpus.ceil() as u32).max(1);
    THREAD_COUNTS.into_iter().map(move |name| (name.to_owned(), threads.to_string()))
}

/// A model's variables, with each `${NAME}` replaced from the server's environment.
///
/// # Errors
/// The reason for the operator, if a variable is not set or a brace is not closed.
pub(crate) fn expand(
    env: &BTreeMap<String, String>,
    lookup: Lookup<'_>,
) -> Result<BTreeMap<String, String>, String> {
    let filled = |(name, text): (&String, &String)| {
        let text = types::interpolate(&format!("env.{name}"), text, lookup)
            .map_err(|error| error.to_string())?;
        Ok((name.clone(), text))
    };
    env.iter().map(filled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_may_be_empty() {
        assert_eq!(check("a ${KEY} b${EMPTY} $KEY"), Ok("a secret b $KEY".into()));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(check("${OTHER}"), Err("OTHER is not set, and env.TOKEN needs it".into()));
    }

    #[test]
    fn a_share_of_a_processor_is_one_thread() {
        let omp = |cpus| threads(cpus).find(|(name, _)| name == "OMP_NUM_THREADS").unwrap().1;
        assert_eq!([omp(0.25), omp(1.0), omp(3.5)], ["1", "1", "4"]);
    }

    fn check(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "KEY" => Some("secret".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let env = BTreeMap::from([("TOKEN".to_owned(), text.to_owned())]);
        expand(&env, &lookup).map(|mut env| env.remove("TOKEN").unwrap())
    }
}
