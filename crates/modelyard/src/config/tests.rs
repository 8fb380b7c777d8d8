//! Stories of configurations: what is written where, and what comes of it.

mod webhooks;

use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;
use types::ModelKind;

use super::*;

/// A working directory with what a person put into it.
struct Desk {
    directory: TempDir,
    variables: Vec<(&'static str, &'static str)>,
    flags: Flags,
}

fn desk(file: &str) -> Desk {
    let directory = tempfile::tempdir().unwrap();
    if !file.is_empty() {
        fs::write(directory.path().join(FILE_NAME), file).unwrap();
    }
    Desk { directory, variables: vec![("HOME", "/users/me")], flags: Flags::default() }
}

impl Desk {
    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    fn with_file(self, name: &str) -> Self {
        fs::write(self.path().join(name), "").unwrap();
        self
    }

    fn serving(mut self, models: &[&str]) -> Self {
        self.flags.models = models.iter().map(|&model| model.into()).collect();
        self
    }

    fn load(&self) -> Result<Loaded, Issues> {
        load(&Inputs {
            file: None,
            flags: self.flags.clone(),
            environment: Environment::of(self.variables.iter().copied()),
            directory: self.path().to_owned(),
        })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    #[track_caller]
    fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|issues| panic!("{issues}")).settings
    }

    #[track_caller]
    fn listen(&self) -> Vec<String> {
        self.settings().server.listen.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn models(&self) -> Vec<String> {
        self.settings().models.keys().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn complains(&self, expected: &str) {
        let issues = self.load().err().map_or_else(String::new, |issues| issues.to_string());
        let lines =
            |text: &str| text.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(lines(&issues), lines(expected));
    }
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let settings = desk("").settings();
    assert_eq!(desk("").listen(), ["127.0.0.1:8000"]);
    assert_eq!(settings.store.path, Path::new("/users/me/.local/share/modelyard/tasks.db"));
    assert_eq!(settings.workers.lease, Duration::from_secs(30));
    assert_eq!(settings.warnings, Vec::<String>::new());
    assert_eq!(
        desk("").models(),
        ["digits", "external-sentiment", "local-echo", "modelyard-demo", "nanobanana-image"]
    );
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let file = "server.listen = '1.1.1.1:1'";
    let mut desk = desk(file);
    assert_eq!(desk.listen(), ["1.1.1.1:1"]);
    desk = desk.with("SERVICE_PORT", "2");
    assert_eq!(desk.listen(), ["1.1.1.1:2"]);
    desk = desk.with("MODELYARD_SERVER__LISTEN", "[\"3.3.3.3:3\", \"unix:/run/x.sock\"]");
    assert_eq!(desk.listen(), ["3.3.3.3:3", "unix:/run/x.sock"]);
    desk.flags.port = Some(4);
    assert_eq!(desk.listen(), ["3.3.3.3:4"]);
    desk.flags.host = Some("::1".into());
    assert_eq!(desk.listen(), ["[::1]:4"]);
}

#[test]
fn each_variable_of_the_document_reaches_its_setting() {
    let desk = desk("")
        .with("SERVICE_HOST", "0.0.0.0")
        .with("SERVICE_PORT", "9000")
        .with("HEARTBEAT_INTERVAL_SECONDS", "5")
        .with("HEARTBEAT_TTL_SECONDS", "15")
        .with("DEFAULT_MAX_CONCURRENCY", "4")
        .with("LOG_LEVEL", "WARNING")
        .with("LOG_FILE", "")
        .with("REDIS_URL", "redis://localhost:6379/0");
    let settings = desk.settings();
    assert_eq!(desk.listen(), ["0.0.0.0:9000"]);
    assert_eq!(settings.workers.heartbeat, Duration::from_secs(5));
    assert_eq!(settings.workers.lease, Duration::from_secs(15));
    assert_eq!(settings.models["local-echo"].max_concurrency, Some(4));
    assert_eq!(settings.models["nanobanana-image"].max_concurrency, Some(2));
    assert_eq!(settings.log.levels, "warn".parse().unwrap());
    assert_eq!(settings.log.file, None);
    assert_eq!(settings.store.url.as_deref(), Some("redis://localhost:6379/0"));
    assert_eq!(settings.warnings, [""; 0]);
}

#[test]
fn a_prefixed_variable_wins_over_a_bare_one() {
    let desk = desk("").with("MODELYARD_LOG__LEVEL", "debug").with("LOG_LEVEL", "error");
    assert_eq!(desk.settings().log.levels, "debug".parse().unwrap());
}

#[test]
fn a_variable_may_name_a_model_and_any_field_of_it() {
    let settings = desk("[models.\"GPT-4.1\"]\nkind = 'openai'\nendpoint = 'http://h'")
        .with("MODELYARD_MODELS__LOCAL_ECHO__METADATA__DELAY_MS", "50")
        .with("MODELYARD_MODELS__GPT_4_1__VERSION", "2")
        .with("MODELYARD_MODELS__GPT_4_1__RETRY__ATTEMPTS_MAX", "1")
        .settings();
    assert_eq!(settings.models["local-echo"].metadata["delay_ms"], 50);
    let gpt = &settings.models["GPT-4.1"];
    // The version is a text, although the variable looks like a number.
    assert_eq!((gpt.version.as_str(), gpt.retry.attempts_max), ("2", 1));
}

#[test]
fn a_class_on_the_command_line_needs_no_file() {
    let desk = desk("").with_file("app.py").serving(&["app.py:SpeechToText"]);
    let settings = desk.settings();
    assert_eq!(desk.models(), ["local-echo", "speech-to-text"]);
    let model = &settings.models["speech-to-text"];
    let implementation = format!("{}:SpeechToText", desk.path().join("app.py").display());
    assert_eq!(model.kind, ModelKind::Python);
    assert_eq!(model.implementation.as_ref(), Some(&implementation));
    assert_eq!(model.workdir.as_deref(), Some(desk.path()));
}

#[test]
fn a_missing_file_is_an_error_on_the_command_line_and_a_warning_elsewhere() {
    let named = desk("").serving(&["app.py:Digits", "no-class"]);
    let file = named.path().join("app.py").display().to_string();
    named.complains(&format!(
        "  `no-class` names no class and no folder
    write a file and the class in it, for example `app.py:Digits`, or a folder of weights
  the command line: models.digits.implementation: there is no file `{file}`
    write the path of the file that holds the class"
    ));
    let configured = desk("[models.m]\nimplementation = 'app.py:Digits'");
    let file = configured.path().join("app.py").display().to_string();
    assert_eq!(
        configured.settings().warnings,
        [format!("modelyard.toml: models.m.implementation: there is no file `{file}`")]
    );
}

#[test]
fn models_of_a_person_push_the_built_in_ones_out_but_for_the_echo() {
    let own = "[models.mine]\nimplementation = 'm:C'\n";
    assert_eq!(desk(own).models(), ["local-echo", "mine"]);
    let key = desk(own).with("NANOBANANA_API_KEY", "k");
    assert_eq!(key.models(), ["local-echo", "mine", "nanobanana-image"]);
    let api_key = key.settings().models["nanobanana-image"].api_key.clone();
    assert_eq!(api_key.as_deref(), Some("${NANOBANANA_API_KEY}"));
}

#[test]
fn a_built_in_model_can_be_changed_or_replaced() {
    let changed = desk("[models.external-sentiment]\nenabled = true").settings();
    let model = &changed.models["external-sentiment"];
    assert_eq!((model.enabled, model.num_workers), (true, 2));
    assert_eq!(changed.models.len(), 5);

    let replaced = desk("[models.digits]\ntype = 'external'\nendpoint = 'http://h'").settings();
    let model = &replaced.models["digits"];
    assert_eq!((model.kind, &model.implementation), (ModelKind::Http, &None));
}

#[test]
fn paths_of_the_file_are_relative_to_it_and_a_tilde_is_home() {
    let desk =
        desk("log.file = 'logs/x.log'\nstore.path = '~/t.db'\nworkers.python = 'python3.12'")
            .with("MODELYARD_SERVER__INTERNAL_LISTEN", "unix:run/in.sock");
    let settings = desk.settings();
    assert_eq!(settings.log.file, Some(desk.path().join("logs/x.log")));
    assert_eq!(settings.store.path, Path::new("/users/me/t.db"));
    assert_eq!(settings.workers.python.as_deref(), Some(Path::new("python3.12")));
    let socket = format!("unix:{}", desk.path().join("run/in.sock").display());
    assert_eq!(settings.server.internal_listen.unwrap().to_string(), socket);
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_one() {
    desk("[server]\nlistn = 'x'\n[sever]\na = 1\nb = 2\n[models.m]\nimplementation = 'm:C'\nmax_concurency = 2\nlisten = 1")
        .complains(
            "  modelyard.toml: models.m.listen: there is no such key
    did you mean `server.listen`?
  modelyard.toml: models.m.max_concurency: there is no such key
    did you mean `models.m.max_concurrency`?
  modelyard.toml: server.listn: there is no such key
    did you mean `server.listen`?
  modelyard.toml: sever: there is no such key
    did you mean `server`?",
        );
}

#[test]
fn a_misspelt_variable_is_told_too() {
    desk("")
        .with("MODELYARD_SERVER__LISTN", "x")
        .with("MODELYARD_SERVER_LISTEN", "x")
        .with("MODELYARD_DATADIR", "x")
        .complains(
            "  MODELYARD_DATADIR is not a variable of this program
    did you mean MODELYARD_DATA_DIR?
  MODELYARD_SERVER_LISTEN is not a variable of this program
    did you mean MODELYARD_SERVER__LISTEN?
  MODELYARD_SERVER__LISTN: server.listn: there is no such key
    did you mean `server.listen`?",
        );
}

#[test]
fn a_variable_of_somebody_else_with_our_prefix_is_only_a_warning() {
    let settings = desk("").with("MODELYARD_NIGHTLY_RUN", "7").settings();
    assert_eq!(
        settings.warnings,
        ["MODELYARD_NIGHTLY_RUN is not a variable of this program; it is ignored"]
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_source() {
    desk(
        "server.body_mb_max = 'big'\nserver.listen = '8000'\nstore.sync_calls = 'disk'\n\
         [models.m]\nnum_workers = 0\nkind = 'http'\nnum_gpus = 1",
    )
    .with("LOG_LEVEL", "loud")
    .with("HEARTBEAT_TTL_SECONDS", "5")
    .complains(
        "  modelyard.toml: server.body_mb_max: \"big\" is not a whole number
    write a whole number, for example 64
  modelyard.toml: store.sync_calls: \"disk\" is not known here
    write one of \"memory\", \"stored\"
  modelyard.toml: server.listen: `8000` is not an address
    write `host:port` or `unix:/path`, for example \"127.0.0.1:8000\"
  LOG_LEVEL: log.level: `loud` is not a log level; write `off`, `error`, `warn`, `info`, `debug` or `trace`, or `module=level`, several with commas
  HEARTBEAT_TTL_SECONDS: workers.lease_seconds: a lease of 5 s ends before the next heartbeat, which comes every 10 s
    make the lease about three times as long as the heartbeat
  modelyard.toml: models.m.num_workers: must be at least 1; to switch a model off set `enabled = false`
  modelyard.toml: models.m.num_gpus: an external model runs elsewhere and takes no GPU here; remove it
  modelyard.toml: models.m.endpoint: give the address, starting with http:// or https://",
    );
}

#[test]
fn a_bad_name_is_told_once() {
    desk("[models.'a b']\nkind = 'http'\nversion = '1'").complains(
        "  modelyard.toml: models.\"a b\": model name `a b` is not valid: use 1 to 128 letters, digits and `-`, `_`, `.`, `:`, `@`",
    );
}

#[test]
fn layers_meet_whatever_spelling_they_use() {
    let settings = desk("[models.m]\ntype = 'external'\nbase_url = 'http://one'")
        .with("MODELYARD_MODELS__M__ENDPOINT", "http://two")
        .with("MODELYARD_MODELS__M__KIND", "openai")
        .settings();
    let model = &settings.models["m"];
    assert_eq!((model.kind, model.endpoint.as_deref()), (ModelKind::Openai, Some("http://two")));
}

#[test]
fn a_file_that_is_no_toml_is_shown_where() {
    let issues = desk("[server\nlisten = 1").load().unwrap_err().to_string();
    assert!(issues.starts_with("  modelyard.toml: TOML parse error at line 1"), "{issues}");
}

#[test]
fn a_named_file_must_exist() {
    let inputs = Inputs {
        file: Some("my.toml".into()),
        flags: Flags::default(),
        environment: Environment::of([("HOME", "/users/me")]),
        directory: std::env::temp_dir().join("no-such-directory"),
    };
    let issues = load(&inputs).unwrap_err().to_string();
    assert!(issues.starts_with("  my.toml: could not read the file: No such file"), "{issues}");
}

#[test]
fn a_cap_below_the_batch_size_is_a_warning() {
    let settings =
        desk("[models.m]\nimplementation = 'm:C'\nmax_concurrency = 4\nmax_batch_size = 32")
            .settings();
    assert_eq!(
        settings.warnings,
        [
            "modelyard.toml: models.m.max_concurrency: only 4 calls may run at once, so a batch of 32 is never full; raise it"
        ]
    );
}

#[test]
fn every_value_is_shown_with_its_source_and_no_secret() {
    let desk = desk("[models.m]\nkind = 'openai'\nendpoint = 'http://h'\napi_key = 'secret'\nheaders = { X-Key = 'secret' }")
        .with("REDIS_URL", "redis://me:secret@h:1/0")
        .with("MODELYARD_WORKERS__GPUS", "[0, 1]");
    let shown = desk.load().unwrap().show(Shown::Given);
    for line in [
        "log.level = \"info\"  # default",
        "models.local-echo.implementation = \"echo\"  # built in",
        "models.m.api_key = \"…\"  # modelyard.toml",
        "models.m.headers.X-Key = \"…\"  # modelyard.toml",
        "models.m.kind = \"openai\"  # modelyard.toml",
        "server.listen = [\"127.0.0.1:8000\"]  # default",
        "store.url = \"redis://…@h:1/0\"  # REDIS_URL",
        "workers.gpus = [\"0\", \"1\"]  # MODELYARD_WORKERS__GPUS",
    ] {
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            shown.lines().any(|shown| squeezed(shown) == squeezed(line)),
            "`{line}` in\n{shown}"
        );
    }
    assert!(!shown.contains("models.m.queue_max"), "{shown}");
    assert!(desk.load().unwrap().show(Shown::All).contains("models.m.queue_max = 1024"));
}

#[test]
fn the_page_of_the_documentation_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, documentation()).unwrap();
    }
    assert_eq!(
        fs::read_to_string(path).unwrap_or_default(),
        documentation(),
        "docs/config.md is stale; run the tests once with UPDATE_DOCS=1"
    );
}

#[test]
fn workers_from_elsewhere_join_with_a_token_that_was_agreed_on() {
    let far = desk("[models.far]\nnum_workers = 0");
    assert_eq!(far.settings().workers.join_token, None);
    let agreed = far.with("MODELYARD_WORKERS__JOIN_TOKEN", "1234567890123456");
    let settings = agreed.settings();
    assert_eq!(settings.workers.join_token.as_deref(), Some("1234567890123456"));
    assert_eq!(settings.models["far"].num_workers, 0);

    for text in ["secret", "sixteen letters and a space"] {
        desk("").with("MODELYARD_WORKERS__JOIN_TOKEN", text).complains(
            "  MODELYARD_WORKERS__JOIN_TOKEN: workers.join_token: it is too short, or has characters that a header cannot carry
    write 16 or more letters and digits, for example from `openssl rand -hex 16`",
        );
    }
}
