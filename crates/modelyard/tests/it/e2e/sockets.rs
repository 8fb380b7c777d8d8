//! WebSockets through the gateway.

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use super::{puppet::puppets, yard::Yard};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(yard: &Yard, path: &str) -> Client {
    let url = format!("ws://{}{path}", yard.host());
    tokio_tungstenite::connect_async(url).await.unwrap().0
}

#[tokio::test]
async fn messages_of_every_kind_and_size_come_back() {
    let yard = Yard::open("").await;
    let mut client = open(&yard, "/invoke/local-echo/ws").await;
    let long: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    for message in [Message::text("grüß dich"), Message::text(""), Message::binary(long)] {
        client.send(message.clone()).await.unwrap();
        assert!(client.next().await.unwrap().unwrap() == message);
    }
    client.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("p".into()));
    client.close(None).await.unwrap();
    while let Some(Ok(_)) = client.next().await {}
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_life_of_its_socket() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let mut polite = open(&yard, "/invoke/puppet/socket?polite").await;
    yard.noted("begun", "polite").await;
    polite.close(None).await.unwrap();
    yard.noted("ended", "polite").await;

    let abrupt = open(&yard, "/invoke/puppet/socket?abrupt").await;
    yard.noted("begun", "abrupt").await;
    drop(abrupt);
    yard.noted("cancelled", "abrupt").await;
}

#[tokio::test]
async fn a_socket_that_fails_is_closed_with_the_reason() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let mut client = open(&yard, "/invoke/puppet/socket?a").await;
    client.send(Message::text("fail")).await.unwrap();
    let Message::Close(Some(close)) = client.next().await.unwrap().unwrap() else { panic!() };
    assert_eq!((close.code, close.reason.as_str()), (CloseCode::Error, "as you wish"));
}

#[tokio::test]
async fn an_open_socket_holds_a_place_of_its_model() {
    let yard = Yard::open(&puppets("puppet", "max_concurrency = 1\nqueue_max = 0")).await;
    let client = open(&yard, "/invoke/puppet/socket?a").await;
    yard.noted("begun", "a").await;
    let (code, _) = yard.post("/invoke/puppet").json("{}").send().await.refusal().await;
    assert_eq!(code, "queue_full");
    drop(client);
    super::yard::eventually("a free place", async || {
        (yard.post("/invoke/puppet").json("{}").send().await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_plain_request_to_a_socket_is_told_what_to_send() {
    let yard = Yard::open("").await;
    let (code, detail) = yard.get("/invoke/local-echo/ws").send().await.refusal().await;
    assert_eq!(code, "invalid_request", "{detail}");
    let asked = yard.get("/invoke/no-such-model/ws").header("upgrade", "websocket");
    let (code, _) = asked.header("connection", "upgrade").send().await.refusal().await;
    assert_eq!(code, "model_not_found");
    let alive = yard.post("/invoke/local-echo").json(&json!({})).send().await;
    assert_eq!(alive.status, 200);
}
