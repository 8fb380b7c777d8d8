//! Two servers that want the same thing.

use super::yard::Yard;
use crate::desk::Desk;

#[tokio::test]
async fn a_second_server_on_the_same_data_says_whose_they_are() {
    let yard = Yard::open("").await;
    let data = yard.path().join("data").display().to_string();
    let second = Desk::new().variable("MODELYARD_DATA_DIR", data).run(&["serve", "--port", "0"]);
    assert_eq!(second.status, Some(1));
    let owner = format!("the server with process id {} has it open", yard.pid());
    assert!(second.err.contains(&owner), "{}", second.err);
    assert!(second.err.contains("stop that server or choose another file"), "{}", second.err);
    assert_eq!(yard.post("/invoke/local-echo").json("{}").send().await.status, 200);
}

#[tokio::test]
async fn a_second_server_on_the_same_port_says_whose_it_is() {
    let yard = Yard::open("").await;
    let (_, port) = yard.host().rsplit_once(':').unwrap();
    let second = Desk::new().run(&["serve", "--port", port]);
    assert_eq!(second.status, Some(1));
    let owner = format!("error: {} is in use by modelyard (process {})", yard.host(), yard.pid());
    assert!(second.err.starts_with(&owner), "{}", second.err);
}
