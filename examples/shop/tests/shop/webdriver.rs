//! As much of W3C's `WebDriver` as the browser tests need: a dozen endpoints of JSON, over the HTTP client that is here
//! already. The crate `thirtyfour` would save these lines at the price of eight more crates.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

/// Under this name `WebDriver` gives the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// No command takes longer, not even on a machine that is busy with other tests.
const ONE_COMMAND: Duration = Duration::from_mins(1);
/// The prompt of a phone and what follows take more than a minute; nothing takes longer than this.
const PATIENCE: Duration = Duration::from_secs(100);

/// Special keys, as `WebDriver` writes them.
pub(crate) mod key {
    pub(crate) const TAB: &str = "\u{e004}";
    pub(crate) const ENTER: &str = "\u{e007}";
    pub(crate) const UP: &str = "\u{e013}";
}

/// What the window is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    Phone,
    Desk,
}

/// Whether pages may run scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    Run,
    Blocked,
}

/// A browser of its own, with a profile of its own. It ends with its owner, also if the test fails.
pub(crate) struct Browser {
    http: reqwest::Client,
    /// `http://127.0.0.1:9515/session/<id>`
    session: String,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without the runtime, which cannot be waited for here.
        let Some((host, path)) = self.session.trim_start_matches("http://").split_once('/') else { return };
        let Ok(mut stream) = TcpStream::connect(host) else { return };
        let request = format!("DELETE /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let asked =
            stream.set_read_timeout(Some(Duration::from_secs(20))).and_then(|()| stream.write_all(request.as_bytes()));
        if asked.and_then(|()| stream.read(&mut [0; 1])).is_err() {
            eprintln!("a browser did not end");
        }
    }
}

impl Browser {
    pub(crate) async fn start(driver: &str, screen: Screen, scripts: Scripts) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(ONE_COMMAND).build().unwrap();
        let mut options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
                "--window-size=1280,900", format!("--user-data-dir={}", profile.path().display()),
            ],
        });
        if screen == Screen::Phone {
            let metrics = json!({"width": 390, "height": 844, "pixelRatio": 1.0, "touch": true, "mobile": true});
            options["mobileEmulation"] = json!({"deviceMetrics": metrics});
        }
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let sessions = format!("{}/session", driver.trim_end_matches('/'));
        let begun = command(&http, Method::POST, &sessions, Some(wanted)).await;
        let begun = begun.unwrap_or_else(|error| panic!("no browser could be started: {error}"));
        let id = begun["sessionId"].as_str().expect("a session has an id");
        let browser = Self { session: format!("{sessions}/{id}"), http, _profile: profile };
        if scripts == Scripts::Blocked {
            browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
        }
        browser
    }

    pub(crate) async fn open(&self, url: &str) {
        self.post("/url", json!({"url": url})).await.unwrap();
    }

    pub(crate) async fn back(&self) {
        self.post("/back", json!({})).await.unwrap();
    }

    pub(crate) async fn url(&self) -> String {
        self.get("/url").await.as_str().unwrap_or_default().to_owned()
    }

    /// What a selector finds now.
    pub(crate) async fn has(&self, css: &str) -> bool {
        self.find(css).await.is_ok()
    }

    /// The text of what a selector finds, as people see it; empty if it finds nothing.
    pub(crate) async fn text(&self, css: &str) -> String {
        let Ok(element) = self.find(css).await else { return String::new() };
        let text = command(&self.http, Method::GET, &self.at(&format!("/element/{element}/text")), None).await;
        text.ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// A property of an element, such as its `value`; null if there is no such element.
    pub(crate) async fn property(&self, css: &str, name: &str) -> Value {
        let Ok(element) = self.find(css).await else { return Value::Null };
        let path = self.at(&format!("/element/{element}/property/{name}"));
        command(&self.http, Method::GET, &path, None).await.unwrap_or(Value::Null)
    }

    pub(crate) async fn click(&self, css: &str) {
        self.on(css, "click", json!({})).await;
    }

    /// Types into a field in place of what it holds.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        self.on(css, "clear", json!({})).await;
        self.on(css, "value", json!({"text": text})).await;
    }

    /// Chooses what a list calls so.
    pub(crate) async fn choose(&self, css: &str, text: &str) {
        self.on(css, "value", json!({"text": text})).await;
    }

    /// Presses keys, whatever has the focus.
    pub(crate) async fn press(&self, keys: &str) {
        let strokes = keys.chars().map(|key| key.to_string());
        let strokes: Vec<_> = strokes
            .flat_map(|key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})])
            .collect();
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]});
        self.post("/actions", actions).await.unwrap();
    }

    /// Runs the body of a function in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []})).await.unwrap()
    }

    /// How the page would look to somebody who likes it dark.
    pub(crate) async fn darken(&self) {
        let features = json!([{"name": "prefers-color-scheme", "value": "dark"}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// The whole page as a PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let taken = self.devtools("Page.captureScreenshot", json!({"captureBeyondViewport": true})).await;
        BASE64_STANDARD.decode(taken["data"].as_str().unwrap_or_default()).unwrap()
    }

    /// What the console has shown since it was last looked at: level and message.
    pub(crate) async fn console(&self) -> Vec<(String, String)> {
        let entries = self.post("/se/log", json!({"type": "browser"})).await.unwrap();
        let part = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        entries.as_array().into_iter().flatten().map(|entry| (part(entry, "level"), part(entry, "message"))).collect()
    }

    /// Waits until something is so.
    #[track_caller]
    pub(crate) fn until<'a>(
        &'a self,
        what: &'a str,
        mut is_so: impl AsyncFnMut() -> bool + 'a,
    ) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let started = Instant::now();
            while !is_so().await {
                let page = if started.elapsed() > PATIENCE { Some(self.text("body").await) } else { None };
                assert!(page.is_none(), "{caller}: this did not come about: {what}. The page says: {page:?}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Waits until what a selector finds says this.
    #[track_caller]
    pub(crate) fn says<'a>(&'a self, css: &'a str, text: &'a str) -> impl Future<Output = ()> + 'a {
        self.until(text, async move || self.text(css).await.contains(text))
    }

    async fn find(&self, css: &str) -> Result<String, String> {
        let found = self.post("/element", json!({"using": "css selector", "value": css})).await?;
        found[ELEMENT].as_str().map(str::to_owned).ok_or_else(|| format!("no element: {found}"))
    }

    /// Does something to an element that may be about to come.
    async fn on(&self, css: &str, what: &str, body: Value) {
        let started = Instant::now();
        loop {
            let done = match self.find(css).await {
                Ok(element) => self.post(&format!("/element/{element}/{what}"), body.clone()).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(_) => return,
                Err(error) if started.elapsed() > Duration::from_secs(20) => panic!("{what} of {css}: {error}"),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn devtools(&self, name: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({"cmd": name, "params": parameters})).await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        command(&self.http, Method::GET, &self.at(path), None).await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        command(&self.http, Method::POST, &self.at(path), Some(body)).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.session)
    }
}

async fn command(http: &reqwest::Client, method: Method, url: &str, body: Option<Value>) -> Result<Value, String> {
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let text = answer.text().await.map_err(|error| error.to_string())?;
    let mut told: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    match told["value"]["error"].as_str() {
        Some(error) => Err(format!("{error}: {}", told["value"]["message"])),
        None => Ok(told["value"].take()),
    }
}
