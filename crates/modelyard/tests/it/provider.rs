//! A server that answers from a script and hands out what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

/// One request: its first line, its headers in lower case, its body.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|other| other == header)
    }
}

/// A scripted server; it ends with the script.
pub(crate) struct Provider {
    pub(crate) url: String,
    requests: mpsc::Receiver<Request>,
}

impl Provider {
    /// Answers each connection with the next head (status and headers) and body.
    pub(crate) fn script(answers: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (told, requests) = mpsc::channel();
        let answers: Vec<_> =
            answers.iter().map(|(head, body)| (head.to_string(), body.to_string())).collect();
        thread::spawn(move || {
            for (head, body) in answers {
                let (stream, _) = listener.accept().unwrap();
                let request = read(&stream);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                (&stream).write_all(answer.as_bytes()).unwrap();
                if told.send(request).is_err() {
                    return;
                }
            }
        });
        Self { url, requests }
    }

    /// The next request that came.
    pub(crate) fn request(&self) -> Request {
        self.requests.recv().unwrap()
    }
}

fn read(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = lines.remove(0);
    let headers: Vec<String> = lines.iter().map(|line| line.to_ascii_lowercase()).collect();
    let length = headers.iter().find_map(|header| header.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    Request { line, headers, body: String::from_utf8(body).unwrap() }
}
