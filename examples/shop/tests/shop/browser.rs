//! The demo in a real browser, as customers and admins use it. Each page that is reached is looked over.
//!
//! `SHOP_TEST_BROWSER` is the URL of a chromedriver that runs: without one these tests are skipped, and say so.
//! `SHOP_TEST_SCREENSHOTS` is a folder for a picture of each page that was looked at.

use std::{
    io::Write,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::webdriver::{Browser, Screen, Scripts, key};

mod admins;
mod answers;
mod customers;

/// Everybody's, and the key of the phone.
const PASSWORD: &str = "password-of-the-browser-tests";
const AMINA: (&str, &str) = ("amina@shop.example", PASSWORD);
const ADMIN: (&str, &str) = ("admin@shop.example", PASSWORD);
const SECOND_ADMIN: (&str, &str) = ("second.admin@shop.example", PASSWORD);

/// The demo in a process of its own, and the browsers that look at it.
struct Demo {
    driver: String,
    base: String,
    name: &'static str,
    pictures: AtomicUsize,
    _child: Child,
}

impl Demo {
    /// `None`, with a word about it, where there is no browser.
    async fn start(name: &'static str, variables: &[(&str, &str)]) -> Option<Self> {
        let Ok(driver) = std::env::var("SHOP_TEST_BROWSER") else {
            // Not by a macro, whose words are shown of tests that failed only.
            let told = format!("skipped: {name}: no browser, as SHOP_TEST_BROWSER is not the URL of a chromedriver\n");
            std::io::stderr().write_all(told.as_bytes()).unwrap();
            return None;
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_shop"))
            .arg("demo")
            .env_clear()
            .env("SHOP_ADDRESS", "127.0.0.1:0")
            .env("SHOP_METRICS_ADDRESS", "127.0.0.1:0")
            .env("SHOP_LOG_FILTER", "error")
            .env("SHOP_DEMO_PASSWORD", PASSWORD)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let base = loop {
            let line =
                timeout(Duration::from_mins(1), lines.next_line()).await.expect("the demo says something").unwrap();
            let line = line.expect("the demo says where it listens");
            if let Some(base) = line.strip_prefix("listening on ") {
                break base.to_owned();
            }
        };
        // Whatever it prints later must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { driver, base, name, pictures: AtomicUsize::new(0), _child: child })
    }

    async fn visitor(&self, screen: Screen) -> Visitor<'_> {
        self.visitor_with(screen, Scripts::Run).await
    }

    async fn visitor_with(&self, screen: Screen, scripts: Scripts) -> Visitor<'_> {
        Visitor { browser: Browser::start(&self.driver, screen, scripts).await, demo: self, screen, scripts }
    }

    /// Somebody with a phone in the hand, who has logged in.
    async fn customer(&self) -> Visitor<'_> {
        let visitor = self.visitor(Screen::Phone).await;
        visitor.log_in(AMINA).await;
        visitor
    }

    /// Somebody at a desk, who has logged in.
    async fn admin(&self, who: (&str, &str)) -> Visitor<'_> {
        let visitor = self.visitor(Screen::Desk).await;
        visitor.log_in(who).await;
        visitor
    }

    /// Somebody who looks at the simulator's phone.
    async fn payer(&self) -> Visitor<'_> {
        let visitor = self.visitor(Screen::Phone).await;
        visitor.open_phone("").await;
        visitor
    }
}

/// Somebody with a browser.
struct Visitor<'d> {
    browser: Browser,
    demo: &'d Demo,
    screen: Screen,
    scripts: Scripts,
}

impl Visitor<'_> {
    async fn go(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.demo.base)).await;
    }

    /// Looks at the simulator's phone of this number.
    async fn open_phone(&self, number: &str) {
        self.go(&format!("/phone?key={PASSWORD}&number={number}")).await;
    }

    /// Logs in, and is where that leads.
    async fn log_in(&self, (email, password): (&str, &str)) {
        self.go("/login").await;
        self.browser.fill("#email", email).await;
        self.browser.fill("#password", password).await;
        self.submits("main form button").await;
        self.browser.says(".who", "Log out").await;
    }

    /// Orders this many of what a line of the shop's list says, and is where it is paid.
    async fn order(&self, product: &str, quantity: &str) {
        self.go("/orders").await;
        let id = self.browser.property(&format!("input[data-product='{product}']"), "id").await;
        let id = id.as_str().unwrap_or_else(|| panic!("nobody sells {product}"));
        self.browser.fill(&format!("[id='{id}']"), quantity).await;
        self.submits("button[data-order]").await;
        self.browser.says("h1", "Order").await;
    }

    /// Asks a phone for the money of the order that is open.
    async fn pay(&self, phone: &str) {
        self.browser.fill("#phone_number", phone).await;
        self.submits("#pay").await;
    }

    /// Presses the button of the form whose field has the focus; `WebDriver`'s click needs scripts.
    async fn submits(&self, button: &str) {
        match self.scripts {
            Scripts::Run => self.browser.click(button).await,
            Scripts::Blocked => self.browser.press(key::ENTER).await,
        }
    }

    /// Waits until the heading says this, and looks the page over.
    async fn sees(&self, heading: &str, name: &str) {
        self.browser.says("main", heading).await;
        self.look(name).await;
    }

    /// What every page must have, and nothing may be wrong with. Keeps a picture.
    async fn look(&self, name: &str) {
        if let Ok(folder) = std::env::var("SHOP_TEST_SCREENSHOTS") {
            let number = self.demo.pictures.fetch_add(1, Ordering::Relaxed);
            let screen = if self.screen == Screen::Phone { "phone" } else { "desk" };
            let file = format!("{}-{number:02}-{name}-{screen}.png", self.demo.name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(PathBuf::from(folder).join(file), self.browser.picture().await).unwrap();
        }
        assert!(
            self.browser.text("body").await.contains("Simulator: no real money"),
            "{name}: nobody is told that it is a demo"
        );
        if self.scripts == Scripts::Run {
            let faults = self.browser.run(include_str!("browser/look.js")).await;
            assert_eq!(faults, Value::Array(Vec::new()), "{} {name}", self.browser.url().await);
        }
        self.is_quiet(name).await;
    }

    /// Nothing may be wrong on the console. That a form was refused is no fault of the page.
    async fn is_quiet(&self, name: &str) {
        for (level, message) in self.browser.console().await {
            let refused = ["status of 401", "status of 422", "status of 403", "status of 409", "status of 404"];
            let is_page = message.starts_with(&self.demo.base) && refused.iter().any(|status| message.contains(status));
            assert!(level != "SEVERE" || is_page, "{name}: the console shows: {message}");
        }
    }
}
