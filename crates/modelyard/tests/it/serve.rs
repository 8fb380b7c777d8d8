//! How the server starts and ends.

use std::{fs, net::TcpListener, os::unix::net::UnixListener};

use crate::desk::Desk;

#[test]
fn an_address_in_use_names_its_owner_and_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let outcome = Desk::new().run(&["serve", "--port", &port.to_string()]);
    assert_eq!(outcome.status, Some(1), "{}", outcome.err);
    let error = format!("error: 127.0.0.1:{port} is in use by ");
    let owner = format!("(process {})", std::process::id());
    assert!(outcome.err.starts_with(&error), "{}", outcome.err);
    assert!(outcome.err.contains(&owner), "{}", outcome.err);
    assert!(outcome.err.contains("hint: stop it, or use another port, for example `--port "));
}

#[test]
fn a_unix_socket_in_use_is_left_alone() {
    let desk = Desk::new();
    let path = desk.path().join("door.sock");
    let _taken = UnixListener::bind(&path).unwrap();
    let outcome = desk.run(&["serve", "--listen", "unix:door.sock"]);
    let error = format!("error: unix:{} is in use by ", path.display());
    assert!(outcome.err.starts_with(&error), "{}", outcome.err);
    assert!(path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_not_removed() {
    let desk = Desk::new().file("door.sock", "precious");
    let outcome = desk.run(&["serve", "--listen", "unix:door.sock"]);
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.err.contains("which is not a socket"), "{}", outcome.err);
    assert_eq!(fs::read_to_string(desk.path().join("door.sock")).unwrap(), "precious");
}

#[test]
fn a_host_of_another_machine_is_told() {
    // From the block for documentation: nobody has it.
    let outcome = Desk::new().run(&["serve", "--host", "192.0.2.1"]);
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.err.starts_with("error: cannot listen on 192.0.2.1:8000: "), "{}", outcome.err);
    assert!(outcome.err.contains("\nhint: give an address of this machine"), "{}", outcome.err);
}

#[test]
fn a_changed_file_starts_the_server_again() {
    let desk = Desk::new().file("app.py", "# one\n");
    let mut running = desk.start(&["serve", "app.py:Model", "--port", "0", "--reload"]);
    running.until("| starting");
    fs::write(desk.path().join("app.py"), "# two, which is longer\n").unwrap();
    running.until("| starting");
    assert_eq!(running.terminate(), Some(0));
}
