//! WebSockets, as Python sees them. Nothing here waits, except where it says so: what has to wait
//! is told, and the inbox says when to look again.

mod handler;
mod line;
mod news;
mod query;

use std::sync::Arc;

use api::headers;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use parking_lot::Mutex;
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyDict, PyString},
};
use worker::{Acceptance, Incoming, Message, PathParam, Running};

pub(crate) use handler::PythonSocket;
pub(crate) use news::News;

use crate::{
    handler::{param_value, trace},
    inbox::CallKey,
    json,
};
use line::{Arrived, Decision, Line};

/// A WebSocket, from its arrival until its code has ended.
#[pyclass(frozen, module = "modelyard._core")]
pub(crate) struct Socket {
    line: Arc<Line>,
    request: Box<Request>,
    /// `None` once the code has ended.
    hold: Mutex<Option<Running>>,
}

struct Request {
    head: Parts,
    params: Vec<PathParam>,
    trace: HeaderValue,
}

impl Socket {
    fn new(line: Arc<Line>, incoming: Incoming) -> Self {
        let params = incoming.path_params().to_vec();
        let hold = Mutex::new(Some(incoming.running));
        let (head, _) = incoming.request.into_parts();
        let trace = trace::told(&head.headers).unwrap_or_else(trace::fresh);
        Self { line, request: Box::new(Request { head, params, trace }), hold }
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.request.head.headers.get(name)?.to_str().ok()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.line.end(Some("the socket was dropped by its code".into()));
    }
}

#[pymethods]
impl Socket {
    /// Names the socket inside this process.
    #[getter]
    fn key(&self) -> CallKey {
        self.line.key
    }

    /// What ties the log lines of this socket together.
    #[getter]
    fn request_id(&self) -> String {
        match self.header(&headers::REQUEST_ID) {
            Some(id) => id.into(),
            None => {
                let hold = self.hold.lock();
                hold.as_ref().map(|running| running.call_id().to_string()).unwrap_or_default()
            }
        }
    }

    #[getter]
    fn path(&self) -> &str {
        self.request.head.uri.path()
    }

    #[getter]
    fn query(&self) -> &str {
        self.request.head.uri.query().unwrap_or_default()
    }

    /// Headers in their order, names in lower case; one that was repeated is in here as often.
    #[getter]
    fn headers(&self) -> Vec<(&str, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = self.request.head.headers.iter();
        headers.map(|(name, value)| (name.as_str(), text(value))).collect()
    }

    /// What the holes of the route's path took.
    #[getter]
    fn path_params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for param in &self.request.params {
            dict.set_item(&*param.name, param_value(py, param)?)?;
        }
        Ok(dict)
    }

    /// The id that the client sent along for its log lines, or a new one.
    #[getter]
    fn trace_id(&self) -> &str {
        self.request.trace.to_str().unwrap_or_default()
    }

    /// The subprotocols that the client speaks, best first.
    #[getter]
    fn subprotocols(&self) -> Vec<String> {
        let lists = self.request.head.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let words = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
        words.map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
    }

    /// Gives the client its socket. `False`: it did not wait.
    fn accept(
        &self,
        subprotocol: Option<String>,
        headers: Vec<(String, String)>,
    ) -> PyResult<bool> {
        let acceptance = Acceptance { subprotocol, headers: header_map(headers)? };
        Ok(self.line.decide(Decision::Accept(acceptance)))
    }

    /// Answers a client that wants a socket with something else. `False`: it did not wait.
    fn refuse(&self, status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> PyResult<bool> {
        let status = StatusCode::from_u16(status)
            .map_err(|_| PyValueError::new_err(format!("{status} is not an HTTP status")))?;
        let headers = header_map(headers)?;
        Ok(self.line.decide(Decision::Refuse { status, headers, body }))
    }

    /// The next message: `str` or `bytes`. `None` if there is none now; `RESUME` comes when there
    /// is. Code and reason of the close if none will come any more.
    fn receive<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(match self.line.take() {
            Arrived::Message(Message::Text(text)) => Some(PyString::new(py, &text).into_any()),
            Arrived::Message(Message::Binary(bytes)) => Some(PyBytes::new(py, &bytes).into_any()),
            Arrived::Nothing => None,
            Arrived::Over(parting) => {
                Some((parting.code, parting.reason).into_pyobject(py)?.into_any())
            }
        })
    }

    /// As `receive`, with the message as the query of a handler: a dict with that trace id, unless
    /// it brings one of its own.
    fn receive_query<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(match self.line.take() {
            Arrived::Message(message) => Some(query::of(py, &message, self.trace_id())?.into_any()),
            Arrived::Nothing => None,
            Arrived::Over(parting) => {
                Some((parting.code, parting.reason).into_pyobject(py)?.into_any())
            }
        })
    }

    /// Sends text. Returns one of `ROOM`, `PARKED` and `GONE`.
    fn send_text(&self, text: String) -> u8 {
        self.line.send(Message::Text(text)) as u8
    }

    /// Sends bytes. Returns one of `ROOM`, `PARKED` and `GONE`.
    fn send_bytes(&self, bytes: &[u8]) -> u8 {
        self.line.send(Message::Binary(bytes.to_vec().into())) as u8
    }

    /// Sends a value: bytes as they are, everything else as a text of JSON. Returns one of `ROOM`,
    /// `PARKED` and `GONE`.
    fn send_item(&self, item: &Bound<'_, PyAny>) -> PyResult<u8> {
        if let Ok(bytes) = item.cast::<PyBytes>() {
            return Ok(self.send_bytes(bytes.as_bytes()));
        }
        self.send_json(item)
    }

    /// Sends a value as a text of JSON. Returns one of `ROOM`, `PARKED` and `GONE`.
    fn send_json(&self, value: &Bound<'_, PyAny>) -> PyResult<u8> {
        let text = String::from_utf8(json::encode(value)?)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(self.send_text(text))
    }

    /// Waits until there is room; for threads only. `False`: nobody reads any more.
    fn wait_for_room(&self, py: Python<'_>) -> bool {
        py.detach(|| self.line.wait_for_room())
    }

    /// Sends a close frame after what waits.
    fn close(&self, code: u16, reason: String) {
        self.line.close(code, reason);
    }

    /// Whether there is no room for another message; `RESUME` comes when there is.
    #[getter]
    fn parked(&self) -> bool {
        self.line.is_parked()
    }

    /// Whether nobody reads any more.
    #[getter]
    fn gone(&self) -> bool {
        self.line.is_gone()
    }

    /// Code and reason of the close; `None` while the peer is there.
    #[getter]
    fn parting(&self) -> Option<(u16, String)> {
        self.line.parting().map(|parting| (parting.code, parting.reason))
    }

    /// Says that the code has ended: well, or with that error.
    #[pyo3(signature = (error=None))]
    fn end(&self, error: Option<String>) {
        // The place is free before the farewell goes out.
        drop(self.hold.lock().take());
        self.line.end(error);
    }
}

fn header_map(pairs: Vec<(String, String)>) -> PyResult<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let complain = || PyValueError::new_err(format!("header {name}: {value:?} cannot be sent"));
        let key = HeaderName::try_from(&name).map_err(|_| complain())?;
        headers.append(key, HeaderValue::try_from(&value).map_err(|_| complain())?);
    }
    Ok(headers)
}
