//! Stories with stand-ins for Python: shell scripts that "import" or fail to.

use std::{fs, process};

use tempfile::TempDir;

use super::*;

#[tokio::test]
async fn the_models_own_choice_comes_before_that_for_all() {
    let house = House::new();
    let search = PythonSearch {
        model: Some(house.python("mine", WORKS)),
        workers: Some(house.python("all", WORKS)),
        beside: None,
    };
    assert_eq!(PythonFinder::default().find(&search).await, Ok(house.path("mine")));
}

#[tokio::test]
async fn a_choice_that_does_not_work_is_not_replaced_by_another() {
    let house = House::new();
    house.python(".venv/bin/python", WORKS);
    let search = PythonSearch {
        model: None,
        workers: Some(house.python("bare", NO_PACKAGE)),
        beside: Some(house.path("")),
    };
    let error = PythonFinder::default().find(&search).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "no Python with the package `modelyard` was found: tried {} (ModuleNotFoundError: No \
             module named 'modelyard'); run `make python` or set `python`",
            house.path("bare").display()
        )
    );
}

#[tokio::test]
async fn without_a_choice_the_environment_beside_the_configuration_is_taken() {
    let house = House::new();
    let python = house.python(".venv/bin/python", WORKS);
    let search = PythonSearch { beside: Some(house.path("")), ..PythonSearch::default() };
    assert_eq!(PythonFinder::default().find(&search).await, Ok(python));
}

#[tokio::test]
async fn a_choice_may_be_a_virtual_environment() {
    let house = House::new();
    let python = house.python("env/bin/python", WORKS);
    let search = PythonSearch { model: Some(house.path("env")), ..PythonSearch::default() };
    assert_eq!(PythonFinder::default().find(&search).await, Ok(python));
}

#[tokio::test]
async fn a_missing_interpreter_is_named() {
    let search = PythonSearch { model: Some("/no/python".into()), ..PythonSearch::default() };
    let error = PythonFinder::default().find(&search).await.unwrap_err();
    assert_eq!(error.tried, [Tried { python: "/no/python".into(), problem: "not found".into() }]);
}

#[tokio::test]
async fn an_interpreter_is_asked_once() {
    let house = House::new();
    let counting = format!("echo asked >> {}", house.path("count").display());
    let finder = PythonFinder::default();
    for (name, verdict) in [("good", "exit 0"), ("bad", "exit 1")] {
        let python = house.python(name, &format!("{counting}; {verdict}"));
        let search = PythonSearch { model: Some(python), ..PythonSearch::default() };
        let (first, second) = tokio::join!(finder.find(&search), finder.find(&search));
        assert_eq!(first, second);
    }
    assert_eq!(fs::read_to_string(house.path("count")).unwrap(), "asked\nasked\n");
}

const WORKS: &str = r#"test "$2" = "import modelyard""#;
const NO_PACKAGE: &str =
    r#"echo "Traceback:" >&2; echo "ModuleNotFoundError: No module named 'modelyard'" >&2; exit 1"#;

struct House(TempDir);

impl House {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn python(&self, name: &str, script: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Written by another process: while one of ours has it open for writing, a test beside
        // this one may fork, and the system refuses to run a file that somebody may still write.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#;
        let written =
            process::Command::new("sh").args(["-c", write, "sh", script]).arg(&path).status();
        assert!(written.unwrap().success());
        path
    }
}
