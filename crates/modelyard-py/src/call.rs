//! One call, as Python sees it.

use std::{sync::Arc, time::Instant};

use api::{Body, headers};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use parking_lot::Mutex;
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict},
};
use types::{ErrorCode, Fault};
use worker::{FieldError, FieldErrors, Incoming, Running};

use crate::{
    InvalidJson, file,
    framing::{self, Framing},
    handler::{self, Manner},
    inbox::{CallKey, Inbox},
    json::{self, Encoder},
    promise::Promise,
    stream::{Sent, Stream, StreamBody},
};

/// What the HTTP side waits for.
pub(crate) type Reply = Result<Response<Body>, Fault>;

/// A call, from its arrival until its code has ended.
#[pyclass(frozen, module = "modelyard._core")]
pub(crate) struct Call {
    key: CallKey,
    request: Box<Request>,
    inbox: Arc<Inbox>,
    /// `None` once the code has ended.
    hold: Mutex<Option<Hold>>,
}

struct Request {
    head: Parts,
    body: Bytes,
    deadline: Option<Instant>,
    /// `None` for a route of a model.
    manner: Option<Arc<Manner>>,
}

struct Hold {
    running: Running,
    answer: Answer,
}

enum Answer {
    Owed(Promise),
    Streams(Arc<Stream>),
}

impl Call {
    /// Takes a call in, to which an answer is promised.
    pub(crate) fn open(
        key: CallKey,
        incoming: Incoming,
        body: Bytes,
        inbox: Arc<Inbox>,
        promise: Promise,
        manner: Option<Arc<Manner>>,
    ) -> Self {
        let hold = Hold { running: incoming.running, answer: Answer::Owed(promise) };
        let (head, _) = incoming.request.into_parts();
        let request = Box::new(Request { head, body, deadline: incoming.deadline, manner });
        Self { key, request, inbox, hold: Mutex::new(Some(hold)) }
    }

    /// Names the call inside this process.
    pub(crate) const fn key(&self) -> CallKey {
        self.key
    }

    fn running<T>(&self, look: impl FnOnce(&Running) -> T) -> Option<T> {
        self.hold.lock().as_ref().map(|hold| look(&hold.running))
    }

    /// Ends the call with its answer, or breaks its stream off.
    fn settle(&self, reply: Reply) {
        let Some(Hold { running, answer }) = self.hold.lock().take() else { return };
        // The place is free before the answer goes out: the next call may follow at once.
        drop(running);
        match answer {
            Answer::Owed(promise) => promise.keep(reply),
            Answer::Streams(stream) => stream.break_off(),
        }
    }

    fn stream(&self) -> Option<Arc<Stream>> {
        match &self.hold.lock().as_ref()?.answer {
            Answer::Owed(_) => None,
            Answer::Streams(stream) => Some(Arc::clone(stream)),
        }
    }

    fn manner(&self) -> PyResult<&Manner> {
        let manner = self.request.manner.as_deref();
        manner.ok_or_else(|| PyRuntimeError::new_err("the call is none of a handler"))
    }

    /// Tells the caller the id of its call.
    fn sign(&self, response: &mut Response<Body>) {
        if let Some(manner) = &self.request.manner {
            manner.sign(response.headers_mut());
        }
    }

    /// Begins an answer that comes piece by piece.
    fn begin_stream(&self, stream: Arc<Stream>, response: Response<Body>) -> PyResult<()> {
        let mut hold = self.hold.lock();
        let Some(hold) = hold.as_mut() else {
            return Err(PyRuntimeError::new_err("the call has ended"));
        };
        // A client that left is noticed at the first piece.
        if let Answer::Owed(promise) = std::mem::replace(&mut hold.answer, Answer::Streams(stream))
        {
            promise.keep(Ok(response));
        }
        Ok(())
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.request.head.headers.get(name)?.to_str().ok()
    }
}

#[pymethods]
impl Call {
    /// Names the call inside this process.
    #[getter(key)]
    const fn py_key(&self) -> CallKey {
        self.key
    }

    /// What ties the log lines of this request together.
    #[getter]
    fn request_id(&self) -> String {
        match self.header(&headers::REQUEST_ID) {
            Some(id) => id.into(),
            None => self.running(|running| running.call_id().to_string()).unwrap_or_default(),
        }
    }

    #[getter]
    fn method(&self) -> &str {
        self.request.head.method.as_str()
    }

    #[getter]
    fn path(&self) -> &str {
        self.request.head.uri.path()
    }

    #[getter]
    fn query(&self) -> &str {
        self.request.head.uri.query().unwrap_or_default()
    }

    /// Headers by lower-case name; repeated ones joined with a comma.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for name in self.request.head.headers.keys() {
            let all = self.request.head.headers.get_all(name).iter();
            let values: Vec<_> =
                all.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            dict.set_item(name.as_str(), values.join(", "))?;
        }
        Ok(dict)
    }

    #[getter]
    fn media_type(&self) -> &str {
        self.header(&header::CONTENT_TYPE).unwrap_or_default()
    }

    /// Whether the client asks for server-sent events.
    #[getter]
    fn wants_events(&self) -> bool {
        self.header(&header::ACCEPT).is_some_and(|accept| accept.contains("text/event-stream"))
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.request.body)
    }

    /// Seconds until nobody waits for the answer any more; `None` without a deadline.
    #[getter]
    fn seconds_left(&self) -> Option<f64> {
        let left = self.request.deadline?.saturating_duration_since(Instant::now());
        Some(left.as_secs_f64())
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.running(Running::is_cancelled).unwrap_or(false)
            || self.stream().is_some_and(|stream| stream.is_gone())
    }

    /// The body, read as JSON.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::decode(py, &self.request.body).map_err(InvalidJson::new_err)
    }

    /// Says that the code starts now. `False`: the call was taken back and must not run.
    fn begin(&self) -> bool {
        let mut hold = self.hold.lock();
        let began = hold.as_ref().is_some_and(|hold| hold.running.begin());
        if !began {
            *hold = None;
        }
        began
    }

    #[pyo3(signature = (fraction=None, message=None, partial=None))]
    fn progress(
        &self,
        fraction: Option<f64>,
        message: Option<String>,
        partial: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let partial = partial.map(json_value).transpose()?;
        self.running(|running| running.progress(fraction, message, partial));
        Ok(())
    }

    fn usage(&self, unit: &str, n: u64) {
        self.running(|running| running.usage(unit, n));
    }

    /// Answers with a JSON value. `False`, and nothing happens, if `value` is not of a plain type.
    fn answer(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        if !Encoder::knows(value) {
            return Ok(false);
        }
        let mut response = Response::new(Body::full(json::encode(value)?));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        self.sign(&mut response);
        self.settle(Ok(response));
        Ok(true)
    }

    /// Answers with bytes.
    fn respond(&self, status: u16, headers: Vec<(String, String)>, body: &[u8]) -> PyResult<()> {
        let body = Body::full(Bytes::copy_from_slice(body));
        let mut response = response(status, headers, body)?;
        self.sign(&mut response);
        self.settle(Ok(response));
        Ok(())
    }

    /// Answers with a file, read as it is sent.
    fn send_file(&self, status: u16, headers: Vec<(String, String)>, path: &str) -> PyResult<()> {
        let (length, body) = file::open(path)?;
        let mut response = response(status, headers, body)?;
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        self.sign(&mut response);
        self.settle(Ok(response));
        Ok(())
    }

    /// Ends the call with a code of the error table; `fields` are pairs of path and complaint.
    #[pyo3(signature = (code, detail, fields=Vec::new()))]
    fn fail(&self, code: &str, detail: String, fields: Vec<(String, String)>) -> PyResult<()> {
        let Some(code) = ErrorCode::from_slug(code) else {
            return Err(PyValueError::new_err(format!("`{code}` is not in the table of errors")));
        };
        let mut fault = Fault::new(code, detail);
        if !fields.is_empty() {
            let fields = fields.into_iter().map(|(field, message)| FieldError { field, message });
            fault = fault.caused_by(FieldErrors(fields.collect()));
        }
        self.settle(Err(fault));
        Ok(())
    }

    /// Answers with a stream whose code runs in this lane.
    fn open_stream(
        &self,
        lane: usize,
        status: u16,
        headers: Vec<(String, String)>,
    ) -> PyResult<()> {
        let stream = Stream::new(Arc::clone(&self.inbox), lane, self.key);
        let limit = self.request.manner.as_ref().and_then(|manner| manner.stream_limit());
        let body = Body::stream(StreamBody::new(Arc::clone(&stream), limit));
        let mut response = response(status, headers, body)?;
        self.sign(&mut response);
        self.begin_stream(stream, response)
    }

    /// Answers with the events of a route of `modelyard.handler`, whose code runs in this lane.
    fn open_events(&self, lane: usize) -> PyResult<()> {
        let manner = self.manner()?;
        let stream = Stream::new(Arc::clone(&self.inbox), lane, self.key);
        let body = Body::stream(StreamBody::new(Arc::clone(&stream), manner.stream_limit()));
        self.begin_stream(stream, manner.events(body))
    }

    /// Ends a stream of events that went well: says so, and closes it.
    fn end_events(&self) {
        if let Some(stream) = self.stream() {
            stream.send(b"data: [DONE]\n\n");
        }
        self.close();
    }

    /// Whether it is being answered piece by piece.
    #[getter]
    fn streams(&self) -> bool {
        self.stream().is_some()
    }

    /// The one argument of a handler: what came in the path, after it, and in the body.
    fn query_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Request { head, body, .. } = &*self.request;
        handler::query(py, head, body, self.manner()?)
    }

    /// What ties the log lines of the call together; empty for a route of a model.
    #[getter]
    fn trace_id(&self) -> &str {
        let manner = self.request.manner.as_ref();
        manner.and_then(|manner| manner.trace(|| None).to_str().ok()).unwrap_or_default()
    }

    /// Sends one item of a stream, framed. Returns one of `ROOM`, `PARKED` and `GONE`.
    fn send(&self, item: &Bound<'_, PyAny>, framing: u8) -> PyResult<u8> {
        let piece = framing::frame(item, Framing::try_from(framing)?)?;
        Ok(self.stream().map_or(Sent::Gone, |stream| stream.send(&piece)) as u8)
    }

    /// Ends a stream: all was sent.
    fn close(&self) {
        let Some(Hold { running, answer }) = self.hold.lock().take() else { return };
        drop(running);
        if let Answer::Streams(stream) = answer {
            stream.complete();
        }
    }
}

fn response(status: u16, headers: Vec<(String, String)>, body: Body) -> PyResult<Response<Body>> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status)
        .map_err(|_| PyValueError::new_err(format!("{status} is not an HTTP status")))?;
    for (name, value) in headers {
        let complain = || PyValueError::new_err(format!("header {name}: {value:?} cannot be sent"));
        let name = HeaderName::try_from(&name).map_err(|_| complain())?;
        let value = HeaderValue::try_from(&value).map_err(|_| complain())?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

fn json_value(value: &Bound<'_, PyAny>) -> PyResult<serde_json::Value> {
    let text = json::encode(value)?;
    serde_json::from_slice(&text).map_err(|error| PyValueError::new_err(error.to_string()))
}
