//! The `OpenAPI` document as a judge: an answer that it does not announce is a failure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    schema,
    support::{Shop, Told},
    wire,
};

/// What the document says, and which of it was seen.
pub(crate) struct Contract {
    base: String,
    document: Value,
    pub(crate) operations: Vec<Operation>,
    seen: Mutex<BTreeMap<String, BTreeSet<u16>>>,
}

/// A method of a path.
#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) method: String,
    /// With its parameters in braces.
    pub(crate) path: String,
    pub(crate) definition: Value,
}

impl Operation {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn declares(&self, status: u16) -> bool {
        self.definition["responses"].get(status.to_string()).is_some()
    }

    pub(crate) fn has_body(&self) -> bool {
        self.definition.get("requestBody").is_some()
    }

    /// The names of its parameters in this place.
    pub(crate) fn parameters(&self, place: &str) -> Vec<String> {
        let all = self.definition["parameters"].as_array().into_iter().flatten();
        all.filter(|parameter| parameter["in"] == place).map(|parameter| text(&parameter["name"])).collect()
    }

    /// The path with something in place of its parameter.
    pub(crate) fn with(&self, id: &str) -> String {
        match (self.path.split_once('{'), self.path.split_once('}')) {
            (Some((before, _)), Some((_, after))) => format!("{before}{id}{after}"),
            _ => self.path.clone(),
        }
    }

    fn is_at(&self, path: &str) -> bool {
        let (mut parts, mut asked) = (self.path.split('/'), path.split('/'));
        loop {
            match (parts.next(), asked.next()) {
                (None, None) => return true,
                (Some(part), Some(asked)) if part == asked || part.starts_with('{') => {}
                _ => return false,
            }
        }
    }
}

/// A request.
#[derive(Clone)]
pub(crate) struct Ask {
    method: String,
    path: String,
    headers: String,
    body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), headers: String::new(), body: Vec::new() }
    }

    pub(crate) fn token(self, token: &str) -> Self {
        if token.is_empty() { self } else { self.header("Authorization", &format!("Bearer {token}")) }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers = format!("{}\n{name}: {value}", self.headers);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(&self, base: &str) -> wire::Answer {
        wire::send(base, &format!("{} {} HTTP/1.1{}", self.method, self.path, self.headers), &self.body).await
    }

    /// Short enough for a message.
    pub(crate) fn told(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        format!("{} {} {:?}", self.method, self.path, body.chars().take(300).collect::<String>())
    }
}

impl Contract {
    pub(crate) async fn of(shop: &Shop) -> Self {
        let document = Ask::new("GET", "/api/openapi.json").send(&shop.base).await.body;
        let document: Value = serde_json::from_str(&document).unwrap();
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, definition) in methods.as_object().unwrap() {
                let (method, path, definition) = (method.to_uppercase(), path.clone(), definition.clone());
                operations.push(Operation { method, path, definition });
            }
        }
        Self { base: shop.base.clone(), document, operations, seen: Mutex::default() }
    }

    /// Sends a request, and holds the answer against the document.
    pub(crate) async fn ask(&self, ask: &Ask) -> Told {
        let answer = ask.send(&self.base).await;
        let body: Value = serde_json::from_str(&answer.body)
            .unwrap_or_else(|_| panic!("{}: {} without an envelope: {:?}", ask.told(), answer.status, answer.body));
        self.check(ask, answer.status, &body);
        Told { status: StatusCode::from_u16(answer.status).unwrap(), body }
    }

    fn check(&self, ask: &Ask, status: u16, body: &Value) {
        let path = ask.path.split('?').next().unwrap();
        let fits = self.operations.iter().filter(|operation| operation.method == ask.method && operation.is_at(path));
        // As the router does: a path that is named goes before a parameter.
        let Some(operation) = fits.min_by_key(|operation| operation.path.matches('{').count()) else {
            assert!(matches!(status, 404 | 405), "{}: {status} from what the document does not know", ask.told());
            assert!(body["code"].is_string() && body["success"] == false, "{}: {body}", ask.told());
            return;
        };
        let response = &operation.definition["responses"][status.to_string()];
        assert!(response.is_object(), "{} does not declare {status}: {}: {body}", operation.name(), ask.told());
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{} has no schema for {status}", operation.name());
        let problems = schema::problems(&self.document, schema, body);
        assert!(problems.is_empty(), "{}: {status}: {problems:#?}", ask.told());
        assert_eq!(body["success"], status < 400, "{}: {body}", ask.told());
        self.seen.lock().unwrap().entry(operation.name()).or_default().insert(status);
    }

    /// The properties that the body of an operation may have.
    pub(crate) fn fields(&self, operation: &Operation) -> BTreeMap<String, Value> {
        let mut schema = &operation.definition["requestBody"]["content"]["application/json"]["schema"];
        while let Some(reference) = schema["$ref"].as_str() {
            schema = self.document.pointer(&reference[1..]).unwrap();
        }
        let properties = schema["properties"].as_object().into_iter().flatten();
        properties.map(|(name, schema)| (name.clone(), schema.clone())).collect()
    }

    /// Which statuses an operation has answered.
    pub(crate) fn seen(&self, operation: &Operation) -> BTreeSet<u16> {
        self.seen.lock().unwrap().get(&operation.name()).cloned().unwrap_or_default()
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
