//! API keys: made by a command, asked for by the server, taken away again.

use serde_json::Value;

use crate::desk::{Desk, Outcome};

const CONFIG: &str = "[models.local-echo]\n[models.digits]\nenabled = false\n";

fn call(desk: &Desk, url: &str, key: Option<&str>) -> Outcome {
    let mut args = vec!["invoke", "local-echo", r#"{"text":"hi"}"#, "--url", url];
    args.extend(key.iter().flat_map(|key| ["--key", key]));
    desk.run(&args)
}

#[test]
fn a_server_asks_for_keys_from_the_first_one_on() {
    let desk = Desk::new().file("modelyard.toml", CONFIG);
    let mut server = desk.start(&["serve", "--port", "0"]);
    let line = server.until("listening");
    let address = line.split("address=").nth(1).unwrap().trim();
    let url = format!("http://{address}");
    let eventually = |key: Option<&str>, wanted: &str| {
        for _ in 0..200 {
            let found = call(&desk, &url, key);
            if format!("{}{}", found.out, found.err).contains(wanted) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{wanted} did not come");
    };
    eventually(None, "hi");

    let made = desk.run(&["key", "create", "alice"]);
    assert_eq!(made.status, Some(0), "{}", made.err);
    assert!(made.err.contains("from now on callers need a key"), "{}", made.err);
    let key = made.out.trim();
    eventually(None, "No API key provided");
    eventually(Some("sk-wrong"), "Invalid API key");
    eventually(Some(key), "hi");
    let variable = Desk::new().variable("MODELYARD_API_KEY", key);
    assert!(call(&variable, &url, None).out.contains("hi"));

    let listed = desk.run(&["key", "list"]);
    assert!(!listed.out.contains(key), "{}", listed.out);
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["qps"]), (&"alice".into(), &Value::Null));
    // Health stays open: `status` shows no key.
    assert_eq!(desk.run(&["status"]).status, Some(0));

    let revoked = desk.run(&["key", "revoke", "alice"]);
    assert_eq!(revoked.status, Some(0), "{}", revoked.err);
    eventually(Some(key), "Invalid API key");
    assert_eq!(desk.run(&["key", "revoke", "alice"]).status, Some(64));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn keys_that_cannot_be_known_keep_the_server_from_starting() {
    let desk = Desk::new().file("modelyard.toml", "[server]\nkeys_file = \"keys.json\"\n");
    let desk = desk.file("keys.json", "{");
    let outcome = desk.run(&["serve", "--port", "0"]);
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.err.contains("keys.json makes no sense"), "{}", outcome.err);
}
